package solve

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/cache"
	"github.com/kiln-build/kiln/internal/plan"
)

// Hits holds the steps whose layer is in the cache.
type Hits map[*plan.Step]*cache.Hit

// probes is how many look-ups are under way at once: enough to hide the
// latency of a registry, few enough not to trip its rate limit.
const probes = 16

// Probe looks up all steps of all stages at once. A miss does not stop the
// steps after it from being looked up: keys are functions of the inputs alone.
func Probe(ctx context.Context, from Cache, p *plan.Plan) (Hits, error) {
	var steps []*plan.Step
	for _, stage := range p.Stages {
		for _, step := range stage.Steps {
			if makesLayer(step) {
				steps = append(steps, step)
			}
		}
	}
	found := make([]*cache.Hit, len(steps))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probes)
	for i, step := range steps {
		g.Go(func() (err error) {
			found[i], err = from.Find(ctx, step.Key)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	hits := make(Hits)
	for i, step := range steps {
		if found[i] != nil {
			hits[step] = found[i]
		}
	}
	return hits, nil
}

// Needed returns the stages that have to be walked: the target, and those that
// a walked stage starts from or that one of its missing steps reads. Stages of a
// plan come after what they need, so one pass from the end finds all.
func Needed(p *plan.Plan, hits Hits) map[*plan.Stage]bool {
	needed := map[*plan.Stage]bool{p.Target: true}
	for i := len(p.Stages) - 1; i >= 0; i-- {
		stage := p.Stages[i]
		if !needed[stage] {
			continue
		}
		if stage.Base.Stage != nil {
			needed[stage.Base.Stage] = true
		}
		for _, step := range stage.Steps {
			if hits[step] != nil {
				continue
			}
			for _, from := range origins(step.Op) {
				if from.Stage != nil {
					needed[from.Stage] = true
				}
			}
		}
	}
	return needed
}

// origins returns where op reads files from, besides the stage itself.
func origins(op plan.Op) []plan.Origin {
	switch op := op.(type) {
	case *plan.Copy:
		return []plan.Origin{op.From}
	case *plan.Run:
		var from []plan.Origin
		for _, m := range op.Mounts {
			from = append(from, m.From)
		}
		return from
	}
	return nil
}

func makesLayer(step *plan.Step) bool {
	_, meta := step.Op.(plan.Meta)
	return !meta
}

func countLayers(stage *plan.Stage) int {
	n := 0
	for _, step := range stage.Steps {
		if makesLayer(step) {
			n++
		}
	}
	return n
}
