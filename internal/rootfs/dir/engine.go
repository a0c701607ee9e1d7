package dir

import (
	"context"
	"errors"

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
	// Only is where the one root filesystem is that there can be at a time,
	// and Name what the engine is called then; nil makes a directory for each.
	Only func(context.Context) (Place, error)
	Name string
}

// Engine implements [rootfs.Engine]. It is safe for concurrent use.
type Engine struct{ options Options }

// New returns an Engine.
func New(o Options) *Engine {
	o.Unpack.Whiteouts = unpack.Remove
	if o.Only == nil {
		o.Name = "chroot"
	}
	return &Engine{options: o}
}

// Name implements [rootfs.Engine].
func (e *Engine) Name() string { return e.options.Name }

// Parallel implements [rootfs.Engine].
func (e *Engine) Parallel() bool { return e.options.Only == nil }

// Open implements [rootfs.Engine].
func (e *Engine) Open(ctx context.Context, base []*layer.Layer) (_ rootfs.FS, err error) {
	place, err := e.place(ctx)
	if err != nil {
		return nil, err
	}
	f := &fs{engine: e, place: place, known: &known{store: e.options.Store, root: place.Root}}
	defer func() {
		if err != nil {
			err = errors.Join(err, place.Leave())
		}
	}()
	for _, l := range base {
		if err := f.unpack(ctx, l); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (e *Engine) place(ctx context.Context) (Place, error) {
	if e.options.Only != nil {
		return e.options.Only(ctx)
	}
	return newPlace(ctx, e.options.Store)
}

// unpackAll unpacks layers, the lowest first, into the new directory path.
func (e *Engine) unpackAll(ctx context.Context, path string, layers []*layer.Layer) error {
	if err := makeDir(path); err != nil {
		return err
	}
	for _, l := range layers {
		if err := fill.Dir(ctx, path, l.Changes(ctx), e.options.Unpack); err != nil {
			return err
		}
	}
	return nil
}
