package layer_test

import (
	"archive/tar"
	"bytes"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
)

// tarOf makes a tar of headers. A regular file's content is its Uname, which
// layers have no use for.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Uname
		h.Uname, h.Size = "", int64(len(content))
		if h.ModTime.IsZero() {
			h.ModTime = when
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func changes(t testing.TB, headers ...tar.Header) iter.Seq2[layer.Change, error] {
	t.Helper()
	return layer.ReadTar(bytes.NewReader(tarOf(t, headers...)))
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uname: content}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}
}

// line shows what matters of an entry in a test of names.
func line(e layer.Entry) string {
	kinds := map[layer.Type]string{
		layer.Regular: "file ", layer.Dir: "dir ", layer.Symlink: "symlink ", layer.Link: "link ", layer.Char: "char ",
		layer.Block: "block ", layer.Fifo: "fifo ", layer.Whiteout: "whiteout ", layer.Opaque: "opaque ",
	}
	s := kinds[e.Type] + e.Path
	if e.Linkname != "" {
		s += " -> " + e.Linkname
	}
	return s
}

func lines(entries []layer.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(line(e) + "\n")
	}
	return b.String()
}

func TestBuildIndex(t *testing.T) {
	cases := []struct {
		name string
		tar  []tar.Header
		want string
	}{
		{
			"it is sorted, directories before what is in them",
			[]tar.Header{file("a.b", ""), file("a/c", ""), dir("a/"), file("b", ""), file(".wh.b", ""), file("a/.wh..wh..opq", "")},
			"opaque a\ndir a\nfile a/c\nfile a.b\nwhiteout b\nfile b\n",
		},
		{
			"the last of a name counts",
			[]tar.Header{file("a", "1"), symlink("b", "1"), symlink("a", "2"), file(".wh.c", ""), file(".wh.c", ""), file("b", "3")},
			"symlink a -> 2\nfile b\nwhiteout c\n",
		},
		{
			"what was below a directory goes with it",
			[]tar.Header{dir("a/"), file("a/b", ""), dir("a/c/"), file("a/c/d", ""), file("a", "")},
			"file a\n",
		},
		{
			"a directory made again is empty",
			[]tar.Header{dir("a/"), file("a/b", ""), file("a", ""), dir("a/"), file("a/c", ""), file("a.d", "")},
			"dir a\nfile a/c\nfile a.d\n",
		},
		{
			"a whiteout below a file hides nothing",
			[]tar.Header{file("a", ""), file("a/.wh.b", ""), file("a/.wh..wh..opq", "")},
			"opaque a\nfile a\n",
		},
		{
			"nested directories made again",
			[]tar.Header{dir("a/"), dir("a/b/"), file("a/b/1", ""), file("a", ""), dir("a/"), dir("a/b/"), file("a/b", ""), dir("a/b/"), file("a/b/2", "")},
			"dir a\ndir a/b\nfile a/b/2\n",
		},
		{
			"links lead to the entry with the content",
			[]tar.Header{file("c", ""), link("b", "c"), link("a", "b"), link("d", "lower"), link("e", "d")},
			"link a -> c\nlink b -> c\nfile c\nlink d -> lower\nlink e -> lower\n",
		},
		{
			"the same tar twice",
			[]tar.Header{file("a", ""), link("b", "a"), file("a", ""), link("b", "a")},
			"file a\nlink b -> a\n",
		},
		{
			"below a link of the same tar",
			[]tar.Header{symlink("lib", "usr/lib"), file("lib/x", ""), symlink("abs", "/etc"), file("abs/y", ""), symlink("up", "../../.."), file("up/z", "")},
			"symlink abs -> /etc\nfile etc/y\nsymlink lib -> usr/lib\nsymlink up -> ../../..\nfile usr/lib/x\nfile z\n",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			index, err := layer.BuildIndex(changes(t, c.tar...))
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(index); got != c.want {
				t.Errorf("index is\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestBuildIndexRefuses(t *testing.T) {
	cases := []struct {
		name string
		tar  []tar.Header
		want string
	}{
		{"an entry below a file", []tar.Header{file("a", ""), file("a/b", "")}, "read a/b: a is not a directory"},
		{"an entry far below a file", []tar.Header{file("a", ""), dir("a/b/c/")}, "read a/b/c: a is not a directory"},
		{"a link whose file is replaced", []tar.Header{file("a", "1"), link("b", "a"), file("a", "2")}, "read b: hard link to a, which a later entry replaces"},
		{"a link whose file is gone", []tar.Header{file("d/a", "1"), link("b", "d/a"), file("d", "2")}, "read b: hard link to d/a, which a later entry replaces"},
		{"a link to a directory", []tar.Header{dir("a/"), link("b", "a")}, "read b: hard link to the directory a"},
		{"two links to each other", []tar.Header{link("a", "b"), link("b", "a")}, "which a later entry replaces"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := layer.BuildIndex(changes(t, c.tar...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestBuildIndexKnowsContents(t *testing.T) {
	index, err := layer.BuildIndex(changes(t, file("a", "hello"), file("b", "")))
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{"a": "hello", "b": ""} {
		e, ok := index.Find(path)
		if !ok || e.Content != sum(content) {
			t.Errorf("%s has the content %x, want %x", path, e.Content, sum(content))
		}
	}
}

func TestFind(t *testing.T) {
	index := layer.Index{
		{Path: "a", Type: layer.Whiteout},
		{Path: "a", Type: layer.Opaque},
		{Path: "a", Type: layer.Dir},
		{Path: "a/b", Type: layer.Whiteout},
		{Path: "a.c", Type: layer.Regular},
	}
	for path, want := range map[string]layer.Type{"a": layer.Dir, "a.c": layer.Regular, "a/b": 0, "": 0, "z": 0} {
		e, ok := index.Find(path)
		if ok != (want != 0) || e.Type != want {
			t.Errorf("find %q: type %d, %v, want %d", path, e.Type, ok, want)
		}
	}
}
