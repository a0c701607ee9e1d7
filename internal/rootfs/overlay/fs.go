package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// fs implements [rootfs.FS].
type fs struct {
	engine *Engine
	stack  *stack
	// upper receives what Run changes, nil before the first Run.
	upper *layerDir
	// ran says that a Run may have changed upper since the last Diff.
	ran bool
}

// Apply implements [rootfs.FS].
func (f *fs) Apply(ctx context.Context, l *layer.Layer) error {
	if f.ran {
		return errors.New("apply layer: what was run before has to be taken by Diff first")
	}
	dir, err := f.engine.layerDir(ctx, l)
	if err != nil {
		return err
	}
	if err := f.dropUpper(); err != nil {
		return err
	}
	return f.engine.push(f.stack, dir)
}

// Run implements [rootfs.FS].
func (f *fs) Run(ctx context.Context, p proc.Spec) (err error) {
	mounts, release, err := f.mounts(ctx, p.Mounts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := f.needUpper(); err != nil {
		return fmt.Errorf("make upper directory: %w", err)
	}
	root := f.stack.tree()
	root.Upper, root.Work = f.upper.diff(), f.upper.work()
	if err := os.Mkdir(root.Work, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root.Work)) }()
	f.ran = true
	return f.engine.options.Isolation.Run(ctx, rootfs.Job{Root: root, Process: p, Mounts: mounts})
}

// tree returns the stack as a read-only tree.
func (s *stack) tree() rootfs.Tree {
	t := rootfs.Tree{UserXattr: s.userXattr}
	for _, d := range s.dirs {
		t.Lower = append(t.Lower, d.diff())
	}
	return t
}

// needUpper makes an upper directory. Its root looks as that of the stack.
func (f *fs) needUpper() error {
	if f.upper != nil {
		return nil
	}
	if len(f.stack.dirs) == 0 { // overlayfs needs something to lie over
		empty, err := f.engine.emptyLayerDir()
		if err != nil {
			return err
		}
		f.stack.dirs = append(f.stack.dirs, empty)
	}
	upper, err := f.engine.emptyLayerDir()
	if err != nil {
		return err
	}
	_, meant, err := f.stack.attributes(".")
	if err != nil {
		return err
	}
	if err := copyAttributes(meant, upper.diff()); err != nil {
		return err
	}
	f.upper = upper
	return nil
}

// dropUpper removes the upper directory.
func (f *fs) dropUpper() error {
	if f.upper == nil {
		return nil
	}
	err := os.RemoveAll(f.upper.path)
	f.upper, f.ran = nil, false
	return err
}

// Diff implements [rootfs.FS]. The delta is stable: the upper directory is read
// as it is, below the next one.
func (f *fs) Diff(ctx context.Context) (layer.Delta, error) {
	if !f.ran {
		return layer.Empty{}, nil
	}
	changes, err := diff(ctx, f.stack, f.upper)
	if err != nil {
		return nil, err
	}
	f.ran = false
	if len(changes.entries) == 0 {
		return layer.Empty{}, nil // the upper directory is as good as new
	}
	upper := f.upper
	upper.implied = changes.implied
	if err := f.engine.push(f.stack, upper); err != nil {
		return nil, err
	}
	f.upper = nil
	return &delta{engine: f.engine, dir: upper, entries: changes.entries}, nil
}

// Close implements [rootfs.FS]. Nothing is mounted between Runs; directories
// of layers belong to the store, as others may be using them.
func (f *fs) Close() error { return f.dropUpper() }
