package solve

import (
	"context"
	"errors"
	"fmt"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/progress"
)

// tailLines is how many lines of a failed RUN's output its error repeats.
const tailLines = 20

// exec runs a RUN in the stage's root filesystem and returns what it changed.
func (w *walk) exec(ctx context.Context, op *plan.Run, task *progress.Running) (_ layer.Delta, tail []string, err error) {
	if err := w.prepareRoot(ctx); err != nil {
		return nil, nil, err
	}
	p, release, err := w.Processes.Process(ctx, op, w)
	if err != nil {
		return nil, nil, err
	}
	out := progress.NewTail(tailLines)
	stdout, stderr := task.Writer(out), task.Writer(out)
	p.Stdout, p.Stderr = stdout, stderr
	err = w.fs.Run(ctx, p)
	err = errors.Join(err, stdout.Close(), stderr.Close(), release())
	if err != nil {
		return nil, out.Lines(), err
	}
	delta, err := w.fs.Diff(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find what changed: %w", err)
	}
	return delta, nil, nil
}

// prepareRoot opens the root filesystem at the stage's first RUN, and applies
// what COPY and the cache have put on top since the last one.
func (w *walk) prepareRoot(ctx context.Context) (err error) {
	if w.fs == nil {
		if w.fs, err = w.engine.Open(ctx, w.layers); err != nil {
			return fmt.Errorf("open root filesystem: %w", err)
		}
		w.applied = len(w.layers)
	}
	for ; w.applied < len(w.layers); w.applied++ {
		if err := w.fs.Apply(ctx, w.layers[w.applied]); err != nil {
			return fmt.Errorf("apply layer to root filesystem: %w", err)
		}
	}
	return nil
}
