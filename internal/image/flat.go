package image

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// flat is all that a view shows, as one delta. It implements layer.Delta.
type flat struct {
	view    tree.View
	entries []layer.Entry
}

// flatten lists what view shows but for the root itself. Of the names of one
// file the first in order gets the content, the others link to it.
func flatten(view tree.View) (*flat, error) {
	d := &flat{view: view}
	links := make(linked)
	err := tree.Walk(view, ".", func(e layer.Entry) error {
		if e.Type == layer.Regular {
			e = links.entry(e)
		}
		d.entries = append(d.entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	// Layers that have to be read from their beginning are read once.
	if v, ok := view.(interface{ Expect(paths []string) }); ok {
		v.Expect(d.files())
	}
	return d, nil
}

// linked says, by the name that a view gives to a file with several names, in
// which entry its content is, if that is another one.
type linked map[string]string

// entry turns the name of a file whose content is in an entry before into a
// link.
func (l linked) entry(e layer.Entry) layer.Entry {
	name := e.Linkname
	if name == "" {
		name = e.Path
	}
	e.Linkname = ""
	first, known := l[name]
	switch {
	case known:
	case layer.Compare(name, e.Path) < 0:
		first = name // has been listed under its own name
	default:
		if name != e.Path {
			l[name] = e.Path // its own name comes later
		}
		return e
	}
	e.Type, e.Linkname, e.Size, e.Content = layer.Link, first, 0, [32]byte{}
	return e
}

// files returns the paths that are going to be opened.
func (d *flat) files() []string {
	var paths []string
	for i := range d.entries {
		if d.entries[i].Type == layer.Regular {
			paths = append(paths, d.entries[i].Path)
		}
	}
	return paths
}

// Entries implements layer.Delta.
func (d *flat) Entries() []layer.Entry { return d.entries }

// Open implements layer.Delta.
func (d *flat) Open(ctx context.Context, i int) (io.ReadCloser, error) {
	return d.view.Open(ctx, d.entries[i].Path)
}

// Stable implements layer.Delta.
func (d *flat) Stable() bool { return true }

// Release implements layer.Delta.
func (d *flat) Release(digest.Digest) error { return nil }
