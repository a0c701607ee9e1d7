package step_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/step"
	"github.com/kiln-build/kiln/internal/tree"
)

// image is a stage of a test: the layers made so far. Its contents are read
// from the deltas they were made of.
type image struct {
	*tree.Tree
	deltas map[*layer.Layer]layer.Delta
}

func newImage(t *testing.T) *image {
	t.Helper()
	i := &image{deltas: make(map[*layer.Layer]layer.Delta)}
	var err error
	if i.Tree, err = tree.Load(t.Context(), nil, contentsOf{i}); err != nil {
		t.Fatal(err)
	}
	return i
}

// add puts a delta on top.
func (i *image) add(t *testing.T, d layer.Delta) {
	t.Helper()
	id := digest.FromString(fmt.Sprint(len(i.deltas)))
	l := layer.Remote(ocispec.Descriptor{}, id, nil, entriesOf{d})
	i.deltas[l] = d
	var err error
	if i.Tree, err = i.With(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// contentsOf are the contents of an image's layers.
type contentsOf struct{ image *image }

func (contentsOf) Expect(*layer.Layer, []string) {}

func (c contentsOf) Open(ctx context.Context, l *layer.Layer, path string) (io.ReadCloser, error) {
	delta := c.image.deltas[l]
	for n, e := range delta.Entries() {
		if e.Path == path && e.Type == layer.Regular {
			return delta.Open(ctx, n)
		}
	}
	return nil, fmt.Errorf("no file %s", path)
}

// entriesOf is the index of a layer made of a delta.
type entriesOf struct{ layer.Delta }

func (e entriesOf) LoadIndex(context.Context, digest.Digest) (layer.Index, error) {
	return layer.Index(e.Entries()), nil
}

func (entriesOf) SaveIndex(context.Context, digest.Digest, layer.Index) error { return nil }

// copyLine does a COPY or ADD written as in a Dockerfile, without variables and
// quotes.
func (i *image) copyLine(t *testing.T, c *step.Copier, line string, src tree.View) error {
	t.Helper()
	delta, err := c.Copy(t.Context(), parseCopy(line), src, i.Tree)
	if err == nil {
		i.add(t, delta)
	}
	return err
}

func parseCopy(line string) *plan.Copy {
	words := strings.Fields(line)
	op := &plan.Copy{Add: words[0] == "ADD"}
	words = words[1:]
	for strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0][2:], "=")
		switch name {
		case "chown":
			op.Chown = value
		case "chmod":
			op.Chmod = value
		case "link":
			op.Link = true
		case "parents":
			op.Parents = true
		case "exclude":
			op.Excludes = append(op.Excludes, value)
		}
		words = words[1:]
	}
	op.Dest = words[len(words)-1]
	if !strings.HasPrefix(op.Dest, "/") {
		op.Dest = "/" + op.Dest
	}
	op.Sources = paths(words[:len(words)-1]...)
	return op
}

// flat is what an image shows, for comparing: path -> facts.
type flat map[string]string

// flatten walks v. Names of one file are noted by the first of them.
func flatten(t *testing.T, v tree.View) flat {
	t.Helper()
	all := make(flat)
	first := make(map[string]string)
	linked := make(map[string]bool)
	err := tree.Walk(v, ".", func(e layer.Entry) error {
		if e.Type == layer.Regular && e.Linkname != "" {
			linked[e.Linkname] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = tree.Walk(v, ".", func(e layer.Entry) error {
		facts := fmt.Sprintf("%c %04o %d:%d", "?fdlhcbp"[e.Type], e.Mode, e.UID, e.GID)
		switch e.Type {
		case layer.Regular:
			facts += fmt.Sprintf(" %d %q", e.ModTime.Unix(), readView(t, v, e.Path))
			key := e.Linkname
			if key == "" {
				key = e.Path
			}
			if linked[key] {
				if first[key] == "" {
					first[key] = e.Path
				}
				facts += " = " + first[key]
			}
		case layer.Symlink:
			facts += " -> " + e.Linkname
		case layer.Char, layer.Block:
			facts += fmt.Sprintf(" %d:%d", e.Major, e.Minor)
		}
		all[e.Path] = facts
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readView(t *testing.T, v tree.View, path string) string {
	t.Helper()
	r, err := v.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// difference lists where two images differ.
func difference(got, want flat) string {
	var b strings.Builder
	for path, facts := range want {
		if got[path] != facts {
			fmt.Fprintf(&b, "%s: got %q, want %q\n", path, got[path], facts)
		}
	}
	for path, facts := range got {
		if _, ok := want[path]; !ok {
			fmt.Fprintf(&b, "%s: got %q, want nothing\n", path, facts)
		}
	}
	return b.String()
}
