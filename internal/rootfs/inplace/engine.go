package inplace

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

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
	g := &ground{Options: o, root: "/"}
	return dir.New(dir.Options{
		Name: Name, Only: g.take,
		Store: o.Store, Isolation: isolation{o.Runner, g}, Unpack: o.Unpack,
	})
}

var _ rootfs.Engine = (*dir.Engine)(nil)

// ground is the one directory that root filesystems are opened in.
type ground struct {
	Options
	root string

	// What follows is of the root filesystem that is open.

	// scratch is a directory on the file system of root.
	scratch string
	keep    *protected
	// network are the container's own network files, by their path.
	network map[string][]byte
}

// take sets aside what is in the root, and returns it as an empty place.
func (g *ground) take(context.Context) (_ dir.Place, err error) {
	// Registries are spoken to while the container's certificates are not
	// there; they are read once. None is as good as there is.
	_, _ = x509.SystemCertPool()
	if g.network, err = readNetwork(g.root); err != nil {
		return dir.Place{}, err
	}
	facts, err := readFacts(g.root)
	if err != nil {
		return dir.Place{}, err
	}
	if g.scratch, err = g.makeScratch(); err != nil {
		return dir.Place{}, err
	}
	if g.keep, err = protect(g.root, append(slices.Clone(g.Keep), g.scratch)); err != nil {
		return dir.Place{}, fmt.Errorf("find what is mounted: %w", err)
	}
	leave, err := g.empty(facts)
	if err != nil {
		return dir.Place{}, err
	}
	return dir.Place{Root: g.root, Skip: g.keep.skip(), Pick: g.keep.pick, Scratch: g.scratch, Leave: sync.OnceValue(leave)}, nil
}

// empty sets aside what is in the root, whose own facts are given. leave puts
// it back.
func (g *ground) empty(root facts) (leave func() error, err error) {
	outside, gone := filepath.Join(g.scratch, "outside"), filepath.Join(g.scratch, "gone")
	if err := errors.Join(os.Mkdir(outside, 0o755), os.Mkdir(gone, 0o755)); err != nil {
		return nil, err
	}
	restore := func() error {
		if err := putBack(g.keep, outside, g.root); err != nil {
			return fmt.Errorf("put back the container's files: %w", err)
		}
		return errors.Join(os.RemoveAll(g.scratch), root.give(g.root))
	}
	if err := setAside(g.keep, g.root, outside); err != nil {
		return nil, errors.Join(fmt.Errorf("set aside the container's files: %w", err), restore())
	}
	if err := unix.Chmod(g.root, 0o755); err != nil {
		return nil, errors.Join(err, restore())
	}
	return func() error {
		if err := setAside(g.keep, g.root, gone); err != nil {
			return fmt.Errorf("clear the root filesystem: %w", err)
		}
		return restore()
	}, nil
}

// makeScratch makes a directory that files of the root can be moved to: in
// kiln's folder, or in the root itself where that is on another file system.
func (g *ground) makeScratch() (string, error) {
	scratch, err := g.Store.Scratch()
	if err != nil {
		return "", err
	}
	inRoot, err := os.MkdirTemp(g.root, ".kiln-")
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(scratch))
	}
	probe := filepath.Join(scratch, "probe")
	switch err := os.Rename(inRoot, probe); {
	case err == nil:
		return scratch, os.Remove(probe)
	case errors.Is(err, unix.EXDEV):
		return inRoot, os.RemoveAll(scratch)
	default:
		return "", errors.Join(err, os.RemoveAll(scratch), os.RemoveAll(inRoot))
	}
}
