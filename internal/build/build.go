package build

import (
	"context"
	"errors"
	"fmt"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/solve"
)

// Build builds what o describes: the image is where it was asked for when
// Build returns without an error, and nowhere in part when it does not.
func Build(ctx context.Context, o Options) (_ Result, err error) {
	r, err := openRooms(o)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()

	p, err := r.plan(ctx)
	if err != nil {
		return Result{}, err
	}
	if o.DryRun {
		return Result{}, r.printPlan(ctx, p)
	}
	delivery, ctx, err := r.startDelivery(ctx)
	if err != nil {
		return Result{}, err
	}
	defer delivery.close()
	state, err := r.solver(delivery).Solve(ctx, p)
	if err != nil {
		return Result{}, err
	}
	img, err := r.assemble(ctx, state)
	if err != nil {
		return Result{}, err
	}
	return delivery.finish(ctx, img)
}

// plan reads the Dockerfile and says what has to be done.
func (r *rooms) plan(ctx context.Context) (*plan.Plan, error) {
	file, err := dockerfile.Parse(r.dockerfile.Name, r.dockerfile.Content)
	if err != nil {
		return nil, err
	}
	options, err := r.resolveOptions()
	if err != nil {
		return nil, err
	}
	p, warnings, err := dockerfile.Resolve(ctx, file, options)
	r.warn(warnings)
	if err != nil {
		return nil, err
	}
	r.epoch = p.Epoch
	if err := plan.Keys(ctx, p, r); err != nil {
		return nil, err
	}
	return p, nil
}

func (r *rooms) warn(warnings []dockerfile.Warning) {
	for _, w := range warnings {
		text := fmt.Sprintf("%s:%d: %s (%s)", w.At.File, w.At.Start, w.Message, w.Rule)
		if w.Hint != "" {
			text += "; " + w.Hint
		}
		r.Progress.Warn(text)
	}
}

// assemble describes the state as an image.
func (r *rooms) assemble(ctx context.Context, s solve.State) (*image.Image, error) {
	img, err := image.Assemble(ctx, image.Source{Config: s.Config, Layers: s.Layers, History: s.History}, image.Options{
		Docker:      r.Format == "docker",
		Labels:      r.Labels,
		Annotations: r.Annotations,
		Created:     r.now(),
	})
	if err != nil {
		return nil, fmt.Errorf("assemble image: %w", err)
	}
	return img, nil
}
