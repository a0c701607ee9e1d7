package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// shownTree is layers that were unpacked for a mount. It is only read, and kept
// for the next one.
type shownTree struct {
	layers []*layer.Layer
	path   string
}

// mounts lays out what the mounts of a process show. release removes what was
// made for this process alone.
func (f *fs) mounts(ctx context.Context, specs []proc.Mount) (mounts []rootfs.Mount, release func() error, err error) {
	var made []string
	release = func() error {
		var errs []error
		for _, dir := range made {
			errs = append(errs, os.RemoveAll(dir))
		}
		return errors.Join(errs...)
	}
	for _, spec := range specs {
		m := rootfs.Mount{Target: spec.Target, ReadOnly: spec.ReadOnly, Path: spec.Source.Path, Tmpfs: spec.Source.Tmpfs, File: spec.Source.File}
		if spec.Source.Layers != nil {
			path, err := f.tree(ctx, spec.Source)
			if !f.shares(spec.Source) {
				made = append(made, path)
			}
			if err != nil {
				return nil, nil, errors.Join(fmt.Errorf("prepare mount on %s: %w", spec.Target, err), release())
			}
			m.Tree = &rootfs.Tree{Upper: path}
			m.ReadOnly = !spec.Source.Discard
		}
		mounts = append(mounts, m)
	}
	return mounts, release, nil
}

// shares reports whether one directory can show source to several processes:
// none may write to it, and an isolation that has one place only cannot keep
// them from it, or show two parts of it at once.
func (f *fs) shares(source proc.MountSource) bool {
	return !source.Discard && f.engine.options.Only == nil
}

// tree returns a directory that shows source.Layers: one that was made before
// if several can share it.
func (f *fs) tree(ctx context.Context, source proc.MountSource) (path string, err error) {
	if f.shares(source) {
		for _, shown := range f.shown {
			if slices.Equal(shown.layers, source.Layers) {
				return shown.path, nil
			}
		}
	}
	parent, err := os.MkdirTemp(f.place.Scratch, "mount-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(parent, "root")
	if err := f.engine.unpackAll(ctx, path, source.Layers); err != nil {
		return path, err
	}
	if f.shares(source) {
		f.shown = append(f.shown, shownTree{layers: slices.Clone(source.Layers), path: path})
	}
	return path, nil
}
