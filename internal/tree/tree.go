package tree

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/layer"
)

// Contents reads the content of files that layers hold.
type Contents interface {
	// Open returns the content of path, which l's index shows as a regular
	// file. The caller closes it. Safe for concurrent use.
	Open(ctx context.Context, l *layer.Layer, path string) (io.ReadCloser, error)
	// Expect says that paths of l are going to be opened, so that a layer that
	// has to be read from its beginning is read once for all of them.
	Expect(l *layer.Layer, paths []string)
}

// Tree shows a list of layers as one file system. It never changes; [Tree.With]
// makes another. Safe for concurrent use.
type Tree struct {
	contents Contents
	layers   []*layer.Layer // the lowest first
	indexes  []layer.Index  // of layers

	mu   sync.Mutex
	dirs map[string]*dir // what was found out so far; nil for "no directory here"

	linksOnce sync.Once
	links     linkGroups
}

// Load returns the tree of layers, the lowest first. Their indexes are had side
// by side; no content is read.
func Load(ctx context.Context, layers []*layer.Layer, contents Contents) (*Tree, error) {
	indexes := make([]layer.Index, len(layers))
	g, ctx := errgroup.WithContext(ctx)
	// A missing index means a download: a few at a time keep the line busy.
	g.SetLimit(8)
	for i, l := range layers {
		g.Go(func() (err error) {
			if indexes[i], err = l.Index(ctx); err != nil {
				return fmt.Errorf("index layer %d of %d: %w", i+1, len(layers), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return newTree(slices.Clone(layers), indexes, contents), nil
}

func newTree(layers []*layer.Layer, indexes []layer.Index, contents Contents) *Tree {
	return &Tree{contents: contents, layers: layers, indexes: indexes, dirs: make(map[string]*dir)}
}

// Empty returns the tree of no layers.
func Empty() *Tree { return newTree(nil, nil, nil) }

// With returns the tree that shows l on top of t.
func (t *Tree) With(ctx context.Context, l *layer.Layer) (*Tree, error) {
	index, err := l.Index(ctx)
	if err != nil {
		return nil, fmt.Errorf("index layer %d: %w", len(t.layers)+1, err)
	}
	return newTree(append(slices.Clip(t.layers), l), append(slices.Clip(t.indexes), index), t.contents), nil
}

// Layers returns the layers t shows, the lowest first. Do not modify the slice.
func (t *Tree) Layers() []*layer.Layer { return t.layers }

// Lstat implements [View].
func (t *Tree) Lstat(path string) (layer.Entry, error) {
	n, ok := t.lookup(path)
	if !ok {
		return layer.Entry{}, notExist("lstat", path)
	}
	return t.show(n), nil
}

// ReadDir implements [View].
func (t *Tree) ReadDir(path string) ([]layer.Entry, error) {
	d := t.dir(path)
	if d == nil {
		return nil, t.noDir("readdir", path)
	}
	nodes := t.children(d)
	entries := make([]layer.Entry, len(nodes))
	for i, n := range nodes {
		entries[i] = t.show(n)
	}
	return entries, nil
}

// Open implements [View].
func (t *Tree) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	n, err := t.file(path)
	if err != nil {
		return nil, err
	}
	return t.contents.Open(ctx, t.layers[n.layer], t.indexes[n.layer][n.entry].Path)
}

// Expect says that paths are going to be opened; see [Contents]. Those that
// are no files are ignored: opening them will say so.
func (t *Tree) Expect(paths []string) {
	byLayer := make(map[int][]string)
	for _, path := range paths {
		if n, err := t.file(path); err == nil {
			byLayer[n.layer] = append(byLayer[n.layer], t.indexes[n.layer][n.entry].Path)
		}
	}
	for i, paths := range byLayer {
		t.contents.Expect(t.layers[i], paths)
	}
}

// file finds the entry that holds the content of path.
func (t *Tree) file(path string) (node, error) {
	n, ok := t.lookup(path)
	if !ok {
		return node{}, notExist("open", path)
	}
	if n = t.target(n); !n.explicit() || t.indexes[n.layer][n.entry].Type != layer.Regular {
		return node{}, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return n, nil
}

func (t *Tree) noDir(op, path string) error {
	if _, ok := t.lookup(path); ok {
		return &fs.PathError{Op: op, Path: path, Err: errNotDir}
	}
	return notExist(op, path)
}
