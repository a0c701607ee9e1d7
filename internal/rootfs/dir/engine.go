package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/fill"
	"github.com/kiln-build/kiln/internal/unpack"
)

// Store makes directories and remembers what layers hold. It is safe for
// concurrent use.
type Store interface {
	// Scratch returns a new, empty directory. The caller removes it.
	Scratch() (dir string, err error)
	// LoadIndex returns the index of a layer, fs.ErrNotExist if there is none.
	LoadIndex(ctx context.Context, diffID digest.Digest) (layer.Index, error)
}

// Options say how an [Engine] works. Store and Isolation are needed.
type Options struct {
	Store     Store
	Isolation rootfs.Isolation
	// Unpack says how layers are unpacked; its Whiteouts are not looked at.
	Unpack unpack.Options
}

// Engine implements [rootfs.Engine]. It is safe for concurrent use.
type Engine struct{ Options }

// New returns an Engine.
func New(o Options) *Engine {
	o.Unpack.Whiteouts = unpack.Remove
	return &Engine{Options: o}
}

// Name implements [rootfs.Engine].
func (e *Engine) Name() string { return "chroot" }

// Parallel implements [rootfs.Engine].
func (e *Engine) Parallel() bool { return true }

// Open implements [rootfs.Engine].
func (e *Engine) Open(ctx context.Context, base []*layer.Layer) (_ rootfs.FS, err error) {
	f := &fs{engine: e}
	if f.dir, err = e.Store.Scratch(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(f.dir))
		}
	}()
	f.known = &known{store: e.Store, root: f.root()}
	if err := makeDir(f.root()); err != nil {
		return nil, err
	}
	for _, l := range base {
		if err := f.unpack(ctx, l); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// unpackAll unpacks layers, the lowest first, into the new directory path.
func (e *Engine) unpackAll(ctx context.Context, path string, layers []*layer.Layer) error {
	if err := makeDir(path); err != nil {
		return err
	}
	for _, l := range layers {
		if err := fill.Dir(ctx, path, l.Changes(ctx), e.Unpack); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a directory that everyone can enter, whatever the umask.
func makeDir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

func (f *fs) root() string  { return filepath.Join(f.dir, "root") }
func (f *fs) clock() string { return filepath.Join(f.dir, "clock") }
