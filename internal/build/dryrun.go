package build

import (
	"context"

	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/solve"
)

// printPlan writes what Build would do, and what the cache has of it, to the
// standard output.
func (r *rooms) printPlan(ctx context.Context, p *plan.Plan) error {
	hits, err := solve.Probe(ctx, r.cache(), p)
	if err != nil {
		return err
	}
	return p.Print(r.Stdout, verdicts(p, hits))
}

// verdicts returns what is going to happen to each step.
func verdicts(p *plan.Plan, hits solve.Hits) func(*plan.Step) string {
	needed := solve.Needed(p, hits)
	words := make(map[*plan.Step]string)
	for _, stage := range p.Stages {
		for _, step := range stage.Steps {
			_, meta := step.Op.(plan.Meta)
			switch {
			case meta:
			case !needed[stage]:
				words[step] = "not needed"
			case hits[step] != nil:
				words[step] = "cached"
			default:
				words[step] = "to do"
			}
		}
	}
	return func(s *plan.Step) string { return words[s] }
}
