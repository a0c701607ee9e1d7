package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/fill"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
	"github.com/kiln-build/kiln/internal/rootfs/snapshot"
)

// fs implements [rootfs.FS].
type fs struct {
	engine *Engine
	place  Place
	known  *known
	// before is the root as it was at the last Diff, or before the first Run
	// since; nil if that is not known because no Run came since Open or Apply.
	before *snapshot.Snapshot
	// ran says that a Run may have changed the root since.
	ran bool
	// last is the delta that may still be read, nil if there is none.
	last *delta
	// shown are the trees of layers that mounts have shown.
	shown []shownTree
}

// Apply implements [rootfs.FS].
func (f *fs) Apply(ctx context.Context, l *layer.Layer) error {
	if f.ran {
		return errors.New("apply layer: what was run before has to be taken by Diff first")
	}
	if err := f.last.wait(ctx); err != nil {
		return err
	}
	f.before = nil
	return f.unpack(ctx, l)
}

func (f *fs) unpack(ctx context.Context, l *layer.Layer) error {
	changes := l.Changes(ctx)
	if f.place.Pick != nil {
		changes = f.place.Pick(ctx, changes)
	}
	if err := fill.Dir(ctx, f.place.Root, changes, f.engine.options.Unpack); err != nil {
		return err
	}
	f.known.add(l.Index)
	return nil
}

// Run implements [rootfs.FS].
func (f *fs) Run(ctx context.Context, p proc.Spec) (err error) {
	mounts, release, err := f.mounts(ctx, p.Mounts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := f.last.wait(ctx); err != nil {
		return err
	}
	if f.before == nil {
		if f.before, err = snapshot.Take(ctx, f.place.Root, f.place.Skip); err != nil {
			return err
		}
	}
	if !f.ran {
		if err := f.before.WaitTick(ctx, filepath.Join(f.place.Scratch, "clock")); err != nil {
			return err
		}
	}
	f.ran = true
	root := rootfs.Tree{Upper: f.place.Root}
	return f.engine.options.Isolation.Run(ctx, rootfs.Job{Root: root, Process: p, Mounts: mounts})
}

// Diff implements [rootfs.FS]. The delta is not stable: the next Run and Apply
// wait for its Release.
func (f *fs) Diff(ctx context.Context) (layer.Delta, error) {
	if !f.ran {
		return layer.Empty{}, nil
	}
	now, err := snapshot.Take(ctx, f.place.Root, f.place.Skip)
	if err != nil {
		return nil, err
	}
	changes, err := snapshot.Compare(ctx, f.place.Root, f.before, now, f.known)
	if err != nil {
		return nil, err
	}
	if err := f.removeSockets(changes.Sockets); err != nil {
		return nil, err
	}
	f.before, f.ran = now, false
	if len(changes.Entries) == 0 {
		return layer.Empty{}, nil
	}
	f.last = newDelta(f.place.Root, changes.Entries, f.known)
	return f.last, nil
}

// removeSockets removes sockets: they are in no layer, so the next RUN must not
// see them. Directories keep their times.
func (f *fs) removeSockets(sockets []string) error {
	for _, rel := range sockets {
		file := filepath.Join(f.place.Root, rel)
		err := scan.KeepTimes(filepath.Dir(file), func() error { return os.Remove(file) })
		if err != nil {
			return fmt.Errorf("remove socket: %w", err)
		}
	}
	return nil
}

// Close implements [rootfs.FS]. It waits for the last delta to be written.
func (f *fs) Close() error {
	return errors.Join(f.last.wait(context.Background()), f.place.Leave())
}
