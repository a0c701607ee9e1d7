package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// mounts lays out what the mounts of a process show. release removes what was
// made for them.
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
			scratch, err := f.engine.options.Store.Scratch()
			if err != nil {
				return nil, nil, errors.Join(err, release())
			}
			made = append(made, scratch)
			if m.Tree, err = f.layersTree(ctx, spec.Source, scratch); err != nil {
				return nil, nil, errors.Join(fmt.Errorf("prepare mount on %s: %w", spec.Target, err), release())
			}
			m.ReadOnly = !spec.Source.Discard
		}
		mounts = append(mounts, m)
	}
	return mounts, release, nil
}

// layersTree lays out the root filesystem of source.Layers: read-only, or with
// an upper directory in scratch that is thrown away.
func (f *fs) layersTree(ctx context.Context, source proc.MountSource, scratch string) (*rootfs.Tree, error) {
	dirs, err := f.layerDirs(ctx, source.Layers)
	if err != nil {
		return nil, err
	}
	s, err := f.engine.newStack(dirs)
	if err != nil {
		return nil, err
	}
	tree := s.tree()
	for len(tree.Lower) < 2 { // a read-only overlay has at least two
		empty := filepath.Join(scratch, fmt.Sprintf("empty%d", len(tree.Lower)))
		if err := os.Mkdir(empty, 0o755); err != nil {
			return nil, err
		}
		tree.Lower = append([]string{empty}, tree.Lower...)
	}
	if source.Discard {
		tree.Upper, tree.Work = filepath.Join(scratch, "upper"), filepath.Join(scratch, "work")
		if err := errors.Join(os.Mkdir(tree.Upper, 0o755), os.Mkdir(tree.Work, 0o700)); err != nil {
			return nil, err
		}
		if _, meant, err := s.attributes("."); err == nil && meant != "" {
			if err := copyAttributes(meant, tree.Upper); err != nil {
				return nil, err
			}
		}
	}
	return &tree, nil
}
