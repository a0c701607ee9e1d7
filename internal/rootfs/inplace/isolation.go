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
// elsewhere is moved here. Nothing can be made read-only that way: a process
// may write to what a real mount would keep from it, but never to a file of
// the user's, which is copied.
type isolation struct {
	runner Runner
	ground *ground
}

// Run implements [rootfs.Isolation].
func (i isolation) Run(ctx context.Context, job rootfs.Job) (err error) {
	if job.Root.Lower != nil || job.Root.Upper != i.ground.root {
		return fmt.Errorf("run process in %s: the engine %s has no root but %s", job.Root.Upper, Name, i.ground.root)
	}
	if err := possible(job.Process); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(i.ground.scratch, "run-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	s := &shown{scratch: scratch, lent: make(map[string]string)}
	// Put back before the changes are looked at, however the process ended.
	defer func() { err = errors.Join(err, s.takeBack()) }()
	if err := s.showNetwork(i.ground, job.Process.ExtraHosts); err != nil {
		return err
	}
	for _, m := range job.Mounts {
		if err := s.show(m); err != nil {
			return fmt.Errorf("mount on %s: %w", m.Target, err)
		}
	}
	return i.runner.Beside(ctx, job.Process)
}

// possible refuses what takes rights that kiln's container does not have.
func possible(p proc.Spec) error {
	const others = "; the engines overlay and chroot can, in a container that may make namespaces"
	switch {
	case p.Network == proc.NetworkNone:
		return &rootfs.UnsupportedError{Engine: Name, What: "--network=none", Why: "there is no network namespace" + others}
	case p.Privileged:
		return &rootfs.UnsupportedError{Engine: Name, What: "--security=insecure", Why: "the container's own rights are all there are" + others}
	}
	return nil
}

// shown are the mounts of one process.
type shown struct {
	scratch string
	// lent holds where a source is that was moved, by where it is taken from.
	lent map[string]string
	undo []func() error
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
