package solve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/cache"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/progress"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/tree"
)

// run is one execution of a plan.
type run struct {
	*Solver
	group  *errgroup.Group
	engine rootfs.Engine
	hits   Hits
	stages map[*plan.Stage]*outcome
}

// outcome is what a stage will have come to when done is closed.
type outcome struct {
	done   chan struct{}
	layers []*layer.Layer
	// created holds the time of each step's layer, zero for steps without one.
	created []time.Time
}

func newRun(s *Solver, g *errgroup.Group, engine rootfs.Engine, hits Hits, needed map[*plan.Stage]bool) *run {
	r := &run{Solver: s, group: g, engine: engine, hits: hits, stages: make(map[*plan.Stage]*outcome)}
	for stage := range needed {
		r.stages[stage] = &outcome{done: make(chan struct{})}
	}
	return r
}

// start executes the needed stages: all at once, each waiting for what it needs
// where it needs it; or one after the other, where there is only one root.
func (r *run) start(ctx context.Context, p *plan.Plan) {
	var inOrder []*plan.Stage
	for _, stage := range p.Stages {
		if r.stages[stage] != nil {
			inOrder = append(inOrder, stage)
		}
	}
	if r.engine == nil || r.engine.Parallel() {
		for _, stage := range inOrder {
			r.group.Go(func() error { return r.stage(ctx, stage, stage == p.Target) })
		}
		return
	}
	r.group.Go(func() error {
		for _, stage := range inOrder {
			if err := r.stage(ctx, stage, stage == p.Target); err != nil {
				return err
			}
		}
		return nil
	})
}

// stage executes one stage, after the one it starts from.
func (r *run) stage(ctx context.Context, stage *plan.Stage, isTarget bool) (err error) {
	out := r.stages[stage]
	w := &walk{run: r, stage: stage, steps: 1 + countLayers(stage)}
	if err := w.from(ctx); err != nil {
		return err
	}
	if isTarget {
		w.announce = r.OnLayer
		w.announceAll()
	}
	defer func() { err = errors.Join(err, w.close()) }()
	out.created = make([]time.Time, len(stage.Steps))
	for i, step := range stage.Steps {
		created, err := w.step(ctx, step)
		if err != nil {
			return err
		}
		out.created[i] = created
	}
	out.layers = w.layers
	close(out.done)
	return nil
}

// baseLayers returns the layers a stage starts from, once they are there.
func (r *run) baseLayers(ctx context.Context, base plan.Base) ([]*layer.Layer, error) {
	switch {
	case base.Stage != nil:
		return r.stageLayers(ctx, base.Stage)
	case base.Image != nil:
		return base.Image.Layers, nil
	}
	return nil, nil
}

func (r *run) stageLayers(ctx context.Context, stage *plan.Stage) ([]*layer.Layer, error) {
	out := r.stages[stage]
	select {
	case <-out.done:
		return out.layers, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Origin implements Origins: the layers that from stands for.
func (r *run) Origin(ctx context.Context, from plan.Origin) ([]*layer.Layer, error) {
	return r.baseLayers(ctx, plan.Base{Stage: from.Stage, Image: from.Image})
}

// view returns what from shows.
func (r *run) view(ctx context.Context, from plan.Origin) (tree.View, error) {
	if from.Stage == nil && from.Image == nil {
		return r.Views.Source(ctx, from.Context)
	}
	layers, err := r.Origin(ctx, from)
	if err != nil {
		return nil, err
	}
	return r.Views.Layers(ctx, layers)
}

// result returns the state of a stage that is done.
func (r *run) result(stage *plan.Stage) State {
	return State{
		Layers:  r.stages[stage].layers,
		Config:  stage.Config(),
		History: r.history(stage),
	}
}

// history returns the entries of the base followed by one for each step.
func (r *run) history(stage *plan.Stage) []ocispec.History {
	var history []ocispec.History
	switch {
	case stage.Base.Stage != nil:
		history = r.history(stage.Base.Stage)
	case stage.Base.Image != nil:
		history = slices.Clone(stage.Base.Image.Config.History)
	}
	for i, step := range stage.Steps {
		if step.History == nil {
			continue
		}
		entry := *step.History
		if created := r.stages[stage].created[i]; !created.IsZero() {
			entry.Created = &created
		}
		history = append(history, entry)
	}
	return history
}

// walk is one stage being executed.
type walk struct {
	*run
	stage  *plan.Stage
	layers []*layer.Layer
	// at counts the steps that users see, of steps: FROM and those that make
	// layers.
	at, steps int
	announce  func(*layer.Layer)
	// fs is the root filesystem, nil until a RUN needs one; it shows the first
	// applied of layers.
	fs      rootfs.FS
	applied int
}

// from takes over what the stage starts from.
func (w *walk) from(ctx context.Context) (err error) {
	w.layers, err = w.baseLayers(ctx, w.stage.Base)
	if err == nil {
		w.begin("FROM "+baseName(w.stage.Base), w.stage.At).End(progress.Done, nil)
	}
	return err
}

func baseName(base plan.Base) string {
	switch {
	case base.Stage != nil:
		return stageName(base.Stage)
	case base.Image != nil:
		return base.Image.Name
	}
	return "scratch"
}

// begin starts the task of the stage's next visible step.
func (w *walk) begin(text string, at plan.Location) *progress.Running {
	w.at++
	return w.Progress.Start(progress.Task{
		Stage: stageName(w.stage), Step: w.at, Steps: w.steps, Name: text, Line: at.Start,
	})
}

// step executes one step and returns when its layer was made.
func (w *walk) step(ctx context.Context, step *plan.Step) (created time.Time, err error) {
	if !makesLayer(step) {
		return time.Time{}, nil
	}
	if w.hits[step] == nil {
		if err := w.await(ctx, step.Op); err != nil {
			return time.Time{}, err
		}
	}
	task := w.begin(step.Text, step.At)
	if hit := w.hits[step]; hit != nil {
		w.push(hit.Layer)
		task.End(progress.Cached, nil)
		return hit.Created, nil
	}
	delta, tail, err := w.delta(ctx, step, task)
	task.End(progress.Done, err)
	if err != nil {
		return time.Time{}, &StepError{At: step.At, Text: step.Text, Tail: tail, Err: err}
	}
	created = w.Now()
	l := w.Writer.Write(ctx, delta)
	w.push(l)
	if _, ran := step.Op.(*plan.Run); ran {
		w.applied++ // what Diff returned is on top of the root already
	}
	w.keep(ctx, step, cache.Hit{Layer: l, Created: created})
	return created, nil
}

// await waits for the stages that op reads, so that a step's time is its own.
func (w *walk) await(ctx context.Context, op plan.Op) error {
	for _, from := range origins(op) {
		if _, err := w.Origin(ctx, from); err != nil {
			return err
		}
	}
	return nil
}

// delta does what the step says and returns what it changed; for a RUN that
// failed, the last lines of its output, too.
func (w *walk) delta(ctx context.Context, step *plan.Step, task *progress.Running) (d layer.Delta, tail []string, err error) {
	switch op := step.Op.(type) {
	case *plan.Run:
		return w.exec(ctx, op, task)
	case *plan.Copy:
		src, err := w.view(ctx, op.From)
		if err != nil {
			return nil, nil, err
		}
		dest, err := w.Views.Layers(ctx, w.layers)
		if err != nil {
			return nil, nil, err
		}
		d, err = w.Copier.Copy(ctx, op, src, dest)
		return d, nil, err
	case *plan.Workdir:
		dest, err := w.Views.Layers(ctx, w.layers)
		if err != nil {
			return nil, nil, err
		}
		d, err = w.Copier.Workdir(ctx, op, dest)
		return d, nil, err
	}
	return nil, nil, fmt.Errorf("unknown operation %T", step.Op)
}

// push puts l on top of the stage's layers.
func (w *walk) push(l *layer.Layer) {
	w.layers = append(slices.Clip(w.layers), l)
	if w.announce != nil {
		w.announce(l)
	}
}

func (w *walk) announceAll() {
	for _, l := range w.layers {
		w.announce(l)
	}
}

// keep waits for the layer beside the steps that follow, and records it. A
// layer that cannot be written ends the build; a cache that cannot be written
// is worth a warning.
func (w *walk) keep(ctx context.Context, step *plan.Step, hit cache.Hit) {
	w.group.Go(func() error {
		if _, err := hit.Layer.Descriptor(ctx); err != nil {
			return &StepError{At: step.At, Text: step.Text, Err: fmt.Errorf("write layer: %w", err)}
		}
		if err := w.Cache.Keep(ctx, step.Key, hit); err != nil {
			w.Progress.Warn(fmt.Sprintf("cannot record %s in the cache: %v", step.Text, err))
		}
		return nil
	})
}

// stageName is what users call a stage: BuildKit's names for those without.
func stageName(s *plan.Stage) string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("stage-%d", s.Index)
}

func (w *walk) close() error {
	if w.fs == nil {
		return nil
	}
	if err := w.fs.Close(); err != nil {
		return fmt.Errorf("close root filesystem of stage %s: %w", stageName(w.stage), err)
	}
	return nil
}
