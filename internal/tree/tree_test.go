package tree_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// layerOf makes a layer that is known by its index only. Each line describes
// an entry: "d etc", "f etc/passwd", "l bin usr/bin" (symbolic link),
// "h name target" (hard link), "w gone" (whiteout), "o dir" (opaque).
func layerOf(lines ...string) *layer.Layer {
	var index layer.Index
	types := map[string]layer.Type{
		"d": layer.Dir, "f": layer.Regular, "l": layer.Symlink, "h": layer.Link, "w": layer.Whiteout, "o": layer.Opaque,
	}
	for _, line := range lines {
		words := strings.Fields(line)
		e := layer.Entry{Path: words[1], Type: types[words[0]], Mode: 0o644}
		if e.Type == layer.Dir {
			e.Mode = 0o700
		}
		if len(words) > 2 {
			e.Linkname = words[2]
		}
		index = append(index, e)
	}
	slices.SortStableFunc(index, func(a, b layer.Entry) int { return layer.Compare(a.Path, b.Path) })
	return layer.Remote(ocispec.Descriptor{}, digest.FromString(strings.Join(lines, "\n")), nil, known(index))
}

// known is the index of the only layer there is.
type known layer.Index

func (k known) LoadIndex(context.Context, digest.Digest) (layer.Index, error) {
	return layer.Index(k), nil
}

func (known) SaveIndex(context.Context, digest.Digest, layer.Index) error { return nil }

// contents answers with the name of the layer and the path that was asked for.
type contents struct{}

func (contents) Open(_ context.Context, l *layer.Layer, path string) (io.ReadCloser, error) {
	id, err := l.DiffID(context.Background())
	return io.NopCloser(strings.NewReader(id.Encoded() + " " + path)), err
}

func (contents) Expect(*layer.Layer, []string) {}

func load(t *testing.T, layers ...*layer.Layer) *tree.Tree {
	t.Helper()
	loaded, err := tree.Load(t.Context(), layers, contents{})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// list walks a view and names what it shows as "path", "path/" for a directory,
// "path -> target" for a link of either kind.
func list(t *testing.T, v tree.View) []string {
	t.Helper()
	var names []string
	err := tree.Walk(v, ".", func(e layer.Entry) error {
		name := e.Path
		if e.Type == layer.Dir {
			name += "/"
		}
		if e.Linkname != "" {
			name += " -> " + e.Linkname
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestTreeMergesLayers(t *testing.T) {
	tests := []struct {
		name   string
		layers []*layer.Layer
		want   string
	}{
		{"nothing", nil, ""},
		{"union", []*layer.Layer{layerOf("d a", "f a/x"), layerOf("d a", "f a/y", "f b")}, "a/ a/x a/y b"},
		{"implied directories", []*layer.Layer{layerOf("f a/b/c")}, "a/ a/b/ a/b/c"},
		{"whiteout of a file", []*layer.Layer{layerOf("f a", "f b"), layerOf("w a")}, "b"},
		{"whiteout of a directory", []*layer.Layer{layerOf("d a", "f a/x", "f a.b"), layerOf("w a")}, "a.b"},
		{"whiteout and back", []*layer.Layer{layerOf("d a", "f a/x"), layerOf("w a", "d a", "f a/y")}, "a/ a/y"},
		{"whiteout of nothing", []*layer.Layer{layerOf("w a")}, ""},
		{"a whiteout hides lower layers only", []*layer.Layer{layerOf("w a"), layerOf("f a")}, "a"},
		{"opaque", []*layer.Layer{layerOf("d a", "f a/x", "d a/d", "f a/d/y"), layerOf("o a", "d a", "f a/z")}, "a/ a/z"},
		{"opaque, three layers", []*layer.Layer{layerOf("f a/x"), layerOf("o a", "f a/y"), layerOf("f a/z")}, "a/ a/y a/z"},
		{"file replaces directory", []*layer.Layer{layerOf("d a", "f a/x"), layerOf("f a")}, "a"},
		{"directory replaces file", []*layer.Layer{layerOf("f a"), layerOf("d a", "f a/x")}, "a/ a/x"},
		{"link replaces directory", []*layer.Layer{layerOf("d a", "f a/x"), layerOf("l a b")}, "a -> b"},
		{"directory over link over directory", []*layer.Layer{layerOf("f a/x"), layerOf("l a b"), layerOf("f a/y")}, "a/ a/y"},
		{"names around the separator", []*layer.Layer{layerOf("d a", "f a-b", "f a.b", "f a/z", "f a0"), layerOf("f a/y")},
			"a/ a/y a/z a-b a.b a0"},
		{"hard link", []*layer.Layer{layerOf("f a", "h b a")}, "a b -> a"},
		{"hard link whose first name was replaced", []*layer.Layer{layerOf("f a", "h b a", "h c a"), layerOf("f a")}, "a b c -> b"},
		{"hard link into a lower layer", []*layer.Layer{layerOf("f a"), layerOf("h b a")}, "a b -> a"},
		{"hard link to nothing", []*layer.Layer{layerOf("h b a")}, "b"},
		{"hard links in a circle", []*layer.Layer{layerOf("h a b", "h b a")}, "a b"},
		{"entry for the root", []*layer.Layer{layerOf("d .", "f -x", "f a"), layerOf("d .", "f +y")}, "+y -x a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			whole := load(t, test.layers...)
			if got := strings.Join(list(t, whole), " "); got != test.want {
				t.Errorf("shows %q, want %q", got, test.want)
			}
			// The same, one layer after the other.
			grown := load(t)
			for _, l := range test.layers {
				var err error
				if grown, err = grown.With(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				_ = list(t, grown) // so that there is something to remember wrongly
			}
			if got := strings.Join(list(t, grown), " "); got != test.want {
				t.Errorf("grown layer by layer shows %q, want %q", got, test.want)
			}
		})
	}
}

func TestTreeTakesFactsFromTheTopmostEntry(t *testing.T) {
	lower := layerOf("d a", "f a/x")
	upper := layerOf("f a/y") // implies a, says nothing of it
	e, err := load(t, lower, upper).Lstat("a")
	if err != nil || e.Mode != 0o700 {
		t.Errorf("a has mode %o, error %v; want the mode that the lower layer gives it", e.Mode, err)
	}
	e, err = load(t, upper).Lstat("a")
	if err != nil || e.Type != layer.Dir || e.Mode != 0o755 {
		t.Errorf("an implied directory is %+v, error %v; want a directory of mode 755", e, err)
	}
}

func TestTreeOpensTheRightContent(t *testing.T) {
	lower, upper := layerOf("f a", "h b a", "f c"), layerOf("f a")
	shown := load(t, lower, upper)
	for path, want := range map[string]*layer.Layer{"a": upper, "b": lower, "c": lower} {
		r, err := shown.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := want.DiffID(t.Context())
		wantPath := strings.Replace(path, "b", "a", 1)
		if string(got) != id.Encoded()+" "+wantPath {
			t.Errorf("%s reads %q, want the content of %s in %s", path, got, wantPath, id)
		}
	}
}

func TestTreeErrors(t *testing.T) {
	shown := load(t, layerOf("d d", "f f", "l l f"))
	if _, err := shown.Lstat("none/such"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lstat of nothing: %v", err)
	}
	if _, err := shown.ReadDir("f"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadDir of a file: %v", err)
	}
	for _, path := range []string{"d", "l"} {
		if _, err := shown.Open(t.Context(), path); err == nil {
			t.Errorf("Open of %s succeeded", path)
		}
	}
}
