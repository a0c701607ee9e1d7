package overlay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/fill"
)

// flight is the unpacking of one layer that all who need it wait for.
type flight struct {
	done chan struct{}
	dir  *layerDir
	err  error
}

// layerDir returns the directory of l: the one it was written from, the one
// kept in the store, or one that it is unpacked into now.
func (e *Engine) layerDir(ctx context.Context, l *layer.Layer) (*layerDir, error) {
	if d, ok := l.Delta().(*delta); ok && d.engine == e {
		return d.dir, nil
	}
	if d := l.Delta(); d != nil && d.Stable() {
		// Its diff ID may come much later: it is unpacked from its sources
		// while it is written.
		return e.once(ctx, l, func(ctx context.Context) (*layerDir, error) { return e.unpack(ctx, l) })
	}
	diffID, err := l.DiffID(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := e.once(ctx, diffID, func(ctx context.Context) (*layerDir, error) { return e.find(ctx, l, diffID) })
	if err != nil {
		return nil, fmt.Errorf("unpack layer %s: %w", diffID, err)
	}
	return dir, nil
}

// once calls get unless a call for the same key is under way or has succeeded.
func (e *Engine) once(ctx context.Context, key any, get func(context.Context) (*layerDir, error)) (*layerDir, error) {
	for {
		e.mu.Lock()
		f, ok := e.flights[key]
		if !ok {
			f = &flight{done: make(chan struct{})}
			e.flights[key] = f
			e.mu.Unlock()
			return e.fly(ctx, key, f, get)
		}
		e.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !errors.Is(f.err, context.Canceled) || ctx.Err() != nil {
			return f.dir, f.err
		}
		// Only the one who did it has been cancelled: try again.
	}
}

func (e *Engine) fly(ctx context.Context, key any, f *flight, get func(context.Context) (*layerDir, error)) (*layerDir, error) {
	if f.dir, f.err = get(ctx); f.err != nil {
		e.mu.Lock()
		delete(e.flights, key)
		e.mu.Unlock()
	}
	close(f.done)
	return f.dir, f.err
}

// find looks diffID up in the store and unpacks l if it is not there.
func (e *Engine) find(ctx context.Context, l *layer.Layer, diffID digest.Digest) (*layerDir, error) {
	readable := true
	if path, kept := e.options.Store.LayerDir(diffID); kept {
		dir, ok, err := readLayerDir(path, e.options.UserXattr)
		if err != nil || ok {
			return dir, err
		}
		readable = false
	}
	dir, err := e.unpack(ctx, l)
	if err != nil || !readable {
		return dir, err
	}
	return dir, e.keep(dir, diffID)
}

// keep keeps dir for later builds. This one goes on with dir.
func (e *Engine) keep(dir *layerDir, diffID digest.Digest) error {
	if err := dir.complete(e.options.UserXattr); err != nil {
		return fmt.Errorf("keep unpacked layer: %w", err)
	}
	if _, err := e.options.Store.KeepLayerDir(dir.path, diffID); err != nil {
		return fmt.Errorf("keep unpacked layer: %w", err)
	}
	return nil
}

// unpack unpacks l into a new directory.
func (e *Engine) unpack(ctx context.Context, l *layer.Layer) (_ *layerDir, err error) {
	select {
	case e.unpacking <- struct{}{}:
		defer func() { <-e.unpacking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	path, err := e.options.Store.NewLayerDir()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}()
	dir, err := newLayerDir(path)
	if err != nil {
		return nil, err
	}
	named := make(names)
	if err := fill.Dir(ctx, dir.diff(), named.note(l.Changes(ctx)), e.options.Unpack); err != nil {
		return nil, err
	}
	dir.implied = named.implied()
	return dir, nil
}

// names notes which directories a layer implies: false for one that is needed
// for what is in it, true for one that has an entry of its own.
type names map[string]bool

// note passes changes on.
func (n names) note(changes iter.Seq2[layer.Change, error]) iter.Seq2[layer.Change, error] {
	n["."] = false
	return func(yield func(layer.Change, error) bool) {
		for c, err := range changes {
			if err == nil {
				n.add(c.Entry)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (n names) add(e layer.Entry) {
	switch e.Type {
	case layer.Dir:
		n[e.Path] = true
	case layer.Opaque:
		n.need(e.Path)
	default:
		delete(n, e.Path) // in case it was a directory before
	}
	n.need(layer.Parent(e.Path))
}

// need notes a directory and those it is in.
func (n names) need(dir string) {
	for {
		if _, known := n[dir]; known {
			return
		}
		n[dir] = false
		dir = layer.Parent(dir)
	}
}

func (n names) implied() []string {
	maps.DeleteFunc(n, func(_ string, named bool) bool { return named })
	return slices.SortedFunc(maps.Keys(n), layer.Compare)
}
