package inplace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/dir"
	"github.com/kiln-build/kiln/internal/unpack"
)

// Name is the engine's name.
const Name = "inplace"

// Options say where the engine works.
type Options struct {
	Store dir.Store
	// Runner runs processes.
	Runner Runner
	// Keep are absolute paths, besides what is mounted, that stay where they
	// are: kiln's folder, the source tree.
	Keep []string
	// Unpack says how layers are unpacked.
	Unpack unpack.Options
}

// New returns the engine. It takes the container apart and puts it together
// again: the caller has made sure that there is one.
func New(o Options) *dir.Engine {
	ground := &ground{Options: o, root: "/"}
	return dir.New(dir.Options{
		Name: Name, Only: ground.take,
		Store: o.Store, Isolation: isolation{o.Runner, o.Store}, Unpack: o.Unpack,
	})
}

var _ rootfs.Engine = (*dir.Engine)(nil)

// ground is the one directory that root filesystems are opened in.
type ground struct {
	Options
	root string
}

// take sets aside what is in the root, and returns it as an empty place.
func (g *ground) take(context.Context) (_ dir.Place, err error) {
	keep, err := protect(g.root, g.Keep)
	if err != nil {
		return dir.Place{}, fmt.Errorf("find what is mounted: %w", err)
	}
	scratch, err := g.Store.Scratch()
	if err != nil {
		return dir.Place{}, err
	}
	outside, gone := filepath.Join(scratch, "outside"), filepath.Join(scratch, "gone")
	if err := errors.Join(os.Mkdir(outside, 0o755), os.Mkdir(gone, 0o755)); err != nil {
		return dir.Place{}, err
	}
	if err := setAside(keep, g.root, outside); err != nil {
		return dir.Place{}, errors.Join(fmt.Errorf("set aside the container's files: %w", err), putBack(keep, outside, g.root))
	}
	leave := func() error {
		if err := setAside(keep, g.root, gone); err != nil {
			return fmt.Errorf("clear the root filesystem: %w", err)
		}
		if err := putBack(keep, outside, g.root); err != nil {
			return fmt.Errorf("put back the container's files: %w", err)
		}
		return os.RemoveAll(scratch)
	}
	return dir.Place{Root: g.root, Skip: keep.skip(), Pick: keep.pick, Scratch: scratch, Leave: leave}, nil
}
