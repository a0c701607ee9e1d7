package mount

import (
	"context"
	"fmt"
	"os"

	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// cache is a directory that outlives the build. A new one starts with the
// content of from/source, if given, and has the mode and owner asked for.
func (m *Maker) cache(ctx context.Context, mount plan.Mount, origins Origins) (made, error) {
	o := owner(mount, 0o755)
	begin := func(dir string) error {
		if err := m.seed(ctx, dir, mount, origins); err != nil {
			return fmt.Errorf("fill new cache %s: %w", mount.ID, err)
		}
		if err := os.Chown(dir, int(o.UID), int(o.GID)); err != nil {
			return err
		}
		return chmod(dir, o.Mode)
	}
	dir, release, err := m.Caches.Acquire(ctx, mount.ID, mount.Sharing, begin)
	if err != nil {
		return made{}, err
	}
	return made{
		mount:   &proc.Mount{Target: mount.Target, ReadOnly: mount.ReadOnly, Source: proc.MountSource{Path: dir}},
		release: release,
	}, nil
}

// seed puts the first content into a new cache.
func (m *Maker) seed(ctx context.Context, dir string, mount plan.Mount, origins Origins) error {
	from := mount.From
	if from.Stage == nil && from.Image == nil && from.Context == "" {
		return nil // a cache is only filled from what the instruction names
	}
	layers, err := origins.Origin(ctx, from)
	if err != nil {
		return err
	}
	files, _, err := m.Sources.Files(ctx, from, layers, mount.Source)
	if err != nil {
		return err
	}
	return fill(ctx, dir, files)
}

// chmod sets all twelve mode bits of a directory of kiln's own.
func chmod(dir string, mode uint32) error {
	bits := os.FileMode(mode & 0o777)
	for bit, flag := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&bit != 0 {
			bits |= flag
		}
	}
	return os.Chmod(dir, bits)
}
