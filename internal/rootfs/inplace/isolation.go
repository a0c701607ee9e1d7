package inplace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// Runner runs a process in the root filesystem that kiln itself is in, and ends
// all that it started.
type Runner interface {
	Beside(ctx context.Context, p proc.Spec) error
}

// isolation implements [rootfs.Isolation] without any: what is mounted
// elsewhere is moved here.
type isolation struct {
	runner Runner
	store  interface{ Scratch() (string, error) }
}

// Run implements [rootfs.Isolation].
func (i isolation) Run(ctx context.Context, job rootfs.Job) (err error) {
	if job.Root.Lower != nil || job.Root.Upper != "/" {
		return fmt.Errorf("run process in %s: the engine %s has no root but /", job.Root.Upper, Name)
	}
	scratch, err := i.store.Scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	s := &shown{scratch: scratch}
	// Put back before the changes are looked at, however the process ended.
	defer func() { err = errors.Join(err, s.takeBack()) }()
	for _, m := range job.Mounts {
		if err := s.show(m); err != nil {
			return fmt.Errorf("show %s: %w", m.Target, err)
		}
	}
	return i.runner.Beside(ctx, job.Process)
}

// shown are the mounts of one process.
type shown struct {
	scratch string
	undo    []func() error
}

func (s *shown) later(undo func() error) { s.undo = append(s.undo, undo) }

// takeBack undoes everything, the last first.
func (s *shown) takeBack() error {
	var errs []error
	for _, undo := range slices.Backward(s.undo) {
		errs = append(errs, undo())
	}
	s.undo = nil
	return errors.Join(errs...)
}
