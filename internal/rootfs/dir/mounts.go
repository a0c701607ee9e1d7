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
			if spec.Source.Discard {
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

// tree returns a directory that shows source.Layers: one that was made before,
// unless the process may write to it.
func (f *fs) tree(ctx context.Context, source proc.MountSource) (path string, err error) {
	if !source.Discard {
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
	if !source.Discard {
		f.shown = append(f.shown, shownTree{layers: slices.Clone(source.Layers), path: path})
	}
	return path, nil
}
