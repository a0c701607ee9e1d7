package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
	"github.com/kiln-build/kiln/internal/unpack"
)

// WriteFiles writes the files that view shows into the directory dir, which is
// made if it is not there. What dir holds already stays where the image has
// nothing.
func WriteFiles(ctx context.Context, dir string, view tree.View) (err error) {
	files, err := filesOf(view)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := inroot.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := unpack.Apply(ctx, root, layer.DeltaChanges(ctx, files), unpack.Options{}); err != nil {
		return fmt.Errorf("write files to %s: %w", filepath.Clean(dir), err)
	}
	return nil
}

// WriteTar writes the files that view shows as one tar: the image without its
// layers.
func WriteTar(ctx context.Context, w io.Writer, view tree.View) error {
	files, err := filesOf(view)
	if err != nil {
		return err
	}
	return layer.WriteTar(ctx, w, files)
}

// files is a view as one delta: everything it shows, hard links as such.
type files struct {
	view    tree.View
	entries []layer.Entry
}

func filesOf(view tree.View) (*files, error) {
	f := &files{view: view}
	err := tree.Walk(view, ".", func(e layer.Entry) error {
		if e.Path == "." {
			return nil
		}
		// A view shows all names of a file as what they are; a layer shows all
		// but the first as links to that.
		if e.Type == layer.Regular && e.Linkname != "" && e.Linkname != e.Path {
			e.Type, e.Size = layer.Link, 0
		} else if e.Type == layer.Regular {
			e.Linkname = ""
		}
		f.entries = append(f.entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	if t, ok := view.(interface{ Expect(paths []string) }); ok {
		t.Expect(f.paths())
	}
	return f, nil
}

func (f *files) paths() []string {
	var paths []string
	for _, e := range f.entries {
		if e.Type == layer.Regular {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// Entries implements layer.Delta.
func (f *files) Entries() []layer.Entry { return f.entries }

// Open implements layer.Delta.
func (f *files) Open(ctx context.Context, i int) (io.ReadCloser, error) {
	return f.view.Open(ctx, f.entries[i].Path)
}

// Stable implements layer.Delta.
func (f *files) Stable() bool { return true }

// Release implements layer.Delta.
func (f *files) Release(digest.Digest) error { return nil }
