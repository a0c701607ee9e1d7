package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/unpack"
)

// bind shows files of a stage, an image or a source tree. Unless it is
// read-only, what is written there succeeds and is thrown away.
func (m *Maker) bind(ctx context.Context, mount plan.Mount, origins Origins) (made, error) {
	if mount.From.Stage != nil || mount.From.Image != nil {
		layers, err := origins.Origin(ctx, mount.From)
		if err != nil {
			return made{}, err
		}
		return made{mount: &proc.Mount{
			Target:   mount.Target,
			ReadOnly: mount.ReadOnly,
			Source:   proc.MountSource{Layers: layers, Path: "/" + mount.Source, Discard: !mount.ReadOnly},
		}}, nil
	}
	dir, name, release, err := m.sourceFiles(ctx, mount)
	if err != nil {
		return made{}, err
	}
	return made{
		mount: &proc.Mount{
			Target:   mount.Target,
			ReadOnly: mount.ReadOnly,
			Source:   proc.MountSource{Path: filepath.Join(dir, name), Discard: !mount.ReadOnly},
		},
		release: release,
	}, nil
}

// sourceFiles puts files of a source tree into a directory: as the image would
// show them (owner, .dockerignore), which the source tree itself does not.
func (m *Maker) sourceFiles(ctx context.Context, mount plan.Mount) (dir, name string, release func() error, err error) {
	files, name, err := m.Sources.Files(ctx, mount.From, nil, mount.Source)
	if err != nil {
		return "", "", nil, err
	}
	if dir, err = m.Scratch(); err != nil {
		return "", "", nil, err
	}
	release = func() error { return os.RemoveAll(dir) }
	// The directory is what the mount shows, to every user.
	if err := errors.Join(os.Chmod(dir, 0o755), fill(ctx, dir, files)); err != nil {
		return "", "", nil, errors.Join(fmt.Errorf("copy %s: %w", mount.Source, err), release())
	}
	return dir, name, release, nil
}

// fill puts files into a directory.
func fill(ctx context.Context, dir string, files layer.Delta) (err error) {
	root, err := inroot.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return unpack.Apply(ctx, root, layer.DeltaChanges(ctx, files), unpack.Options{})
}
