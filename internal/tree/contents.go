package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/spool"
)

// Store is what [NewContents] needs of kiln's folder.
type Store interface {
	// LayerDir returns the directory that the layer is unpacked in, if some
	// engine has done so.
	LayerDir(diffID digest.Digest) (dir string, ok bool)
	// Scratch returns a directory for temporary files.
	Scratch() (dir string, err error)
}

// StoredContents reads the files of layers from where it is cheapest: the
// files a layer was made of, a directory it is unpacked in, or else its blob,
// from which what is wanted is taken in one pass and kept in a spool.
type StoredContents struct {
	store Store

	mu     sync.Mutex
	layers map[*layer.Layer]*extract
}

// NewContents returns contents that use store. Close it after the last read.
func NewContents(store Store) *StoredContents {
	return &StoredContents{store: store, layers: make(map[*layer.Layer]*extract)}
}

// Open implements [Contents].
func (c *StoredContents) Open(ctx context.Context, l *layer.Layer, path string) (io.ReadCloser, error) {
	if d := l.Delta(); d != nil && d.Stable() {
		return openDelta(ctx, d, path)
	}
	id, err := l.DiffID(ctx)
	if err != nil {
		return nil, err
	}
	if dir, ok := c.store.LayerDir(id); ok {
		return openUnder(dir, path)
	}
	return c.extract(l).open(ctx, path)
}

// Expect implements [Contents].
func (c *StoredContents) Expect(l *layer.Layer, paths []string) {
	if d := l.Delta(); d != nil && d.Stable() {
		return
	}
	c.extract(l).expect(paths)
}

// Close gives back the disk space of what was taken out of blobs.
func (c *StoredContents) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, x := range c.layers {
		if x.spool != nil {
			errs = append(errs, x.spool.Close())
		}
	}
	c.layers = make(map[*layer.Layer]*extract)
	return errors.Join(errs...)
}

func (c *StoredContents) extract(l *layer.Layer) *extract {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.layers[l]
	if x == nil {
		x = &extract{layer: l, store: c.store, wanted: make(map[string]bool), found: make(map[string]spool.Section)}
		c.layers[l] = x
	}
	return x
}

func openDelta(ctx context.Context, d layer.Delta, path string) (io.ReadCloser, error) {
	entries := d.Entries()
	i := sort.Search(len(entries), func(i int) bool { return layer.Compare(entries[i].Path, path) >= 0 })
	for ; i < len(entries) && entries[i].Path == path; i++ {
		if entries[i].Type == layer.Regular {
			return d.Open(ctx, i)
		}
	}
	return nil, notExist("open", path)
}

func openUnder(dir, path string) (io.ReadCloser, error) {
	root, err := inroot.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.NoFollow().Open(path)
}

// extract is what has been taken out of one layer's blob.
type extract struct {
	layer *layer.Layer
	store Store

	wantedMu sync.Mutex
	wanted   map[string]bool // to take along in the next pass

	mu    sync.Mutex // held during a pass
	spool *spool.Spool
	found map[string]spool.Section
}

func (x *extract) expect(paths []string) {
	x.wantedMu.Lock()
	defer x.wantedMu.Unlock()
	for _, path := range paths {
		x.wanted[path] = true
	}
}

func (x *extract) open(ctx context.Context, path string) (io.ReadCloser, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.found[path]; !ok {
		x.expect([]string{path})
		if err := x.pass(ctx); err != nil {
			return nil, fmt.Errorf("read %s from its layer: %w", path, err)
		}
	}
	section, ok := x.found[path]
	if !ok {
		return nil, notExist("open", path)
	}
	return x.spool.Open(section), nil
}

// pass reads the layer once and spools all that is wanted. It reads to the
// end even if everything was found before: the bytes are verified only there.
func (x *extract) pass(ctx context.Context) error {
	x.wantedMu.Lock()
	wanted := x.wanted
	x.wanted = make(map[string]bool)
	x.wantedMu.Unlock()
	if x.spool == nil {
		dir, err := x.store.Scratch()
		if err != nil {
			return err
		}
		if x.spool, err = spool.New(dir); err != nil {
			return err
		}
	}
	taken := make(map[string]spool.Section)
	for change, err := range x.layer.Changes(ctx) {
		if err != nil {
			return err
		}
		if change.Type != layer.Regular || !wanted[change.Path] {
			continue
		}
		section, err := x.spool.Add(ctx, change.Reader)
		if err != nil {
			return err
		}
		taken[change.Path] = section
	}
	for path, section := range taken {
		x.found[path] = section
	}
	return nil
}
