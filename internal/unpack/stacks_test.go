package unpack_test

import (
	"archive/tar"
	"iter"
	"slices"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
)

// Layers on top of each other, the lowest first, and what they show together.
func stacks() []stack { return slices.Concat(replacements(), deletions(), links()) }

// replacements are stacks where something takes the place of something else.
func replacements() []stack {
	return []stack{
		{
			"a file takes the place of a file",
			[][]*tar.Header{{file("a", "old")}, {file("a", "new")}},
			[]string{"a=new"},
		},
		{
			"a file takes the place of a directory",
			[][]*tar.Header{{dir("a/"), file("a/b", "old")}, {file("a", "new")}},
			[]string{"a=new"},
		},
		{
			"a directory takes the place of a file",
			[][]*tar.Header{{file("a", "old")}, {dir("a/"), file("a/b", "new")}},
			[]string{"a/", "a/b=new"},
		},
		{
			"a directory takes the place of a link",
			[][]*tar.Header{{dir("d/"), file("d/x", ""), symlink("a", "d")}, {dir("a/"), file("a/b", "new")}},
			[]string{"a/", "a/b=new", "d/", "d/x="},
		},
		{
			"a link takes the place of a directory",
			[][]*tar.Header{{dir("a/"), file("a/b", "old")}, {symlink("a", "/b")}},
			[]string{"a -> /b"},
		},
		{
			"a link takes the place of a file",
			[][]*tar.Header{{file("a", "old"), file("b", "b")}, {symlink("a", "b")}},
			[]string{"a -> b", "b=b"},
		},
		{
			"a directory keeps what is in it",
			[][]*tar.Header{{dir("a/"), file("a/b", "old")}, {dir("a/"), file("a/c", "new")}},
			[]string{"a/", "a/b=old", "a/c=new"},
		},
		{
			"a directory that is only needed",
			[][]*tar.Header{{}, {file("a/b/c", "new")}},
			[]string{"a/", "a/b/", "a/b/c=new"},
		},
		{
			"a directory that is only needed takes the place of a link",
			[][]*tar.Header{{dir("usr/"), dir("usr/lib/"), symlink("lib", "usr/lib")}, {file("lib/x", "new")}},
			[]string{"lib/", "lib/x=new", "usr/", "usr/lib/"},
		},
		{
			"an entry below a link of the same layer",
			[][]*tar.Header{{}, {dir("usr/"), dir("usr/lib/"), symlink("lib", "usr/lib"), file("lib/x", "new")}},
			[]string{"lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x=new"},
		},
	}
}

// deletions are stacks with whiteouts.
func deletions() []stack {
	return []stack{
		{
			"a whiteout removes a file",
			[][]*tar.Header{{file("a", "old"), file("b", "b")}, {file(".wh.a", "")}},
			[]string{"b=b"},
		},
		{
			"a whiteout removes a directory",
			[][]*tar.Header{{dir("a/"), dir("a/b/"), file("a/b/c", "old"), dir("d/")}, {file(".wh.a", "")}},
			[]string{"d/"},
		},
		{
			"a whiteout removes a link, not what it leads to",
			[][]*tar.Header{{dir("d/"), file("d/x", "x"), symlink("a", "d")}, {file(".wh.a", "")}},
			[]string{"d/", "d/x=x"},
		},
		{
			"a whiteout of something in a directory",
			[][]*tar.Header{{dir("a/"), file("a/b", "old"), file("a/c", "c")}, {dir("a/"), file("a/.wh.b", "")}},
			[]string{"a/", "a/c=c"},
		},
		{
			"a whiteout of nothing",
			[][]*tar.Header{{file("a", "a")}, {file(".wh.b", "")}},
			[]string{"a=a"},
		},
		{
			"deleted and made again",
			[][]*tar.Header{{file("a", "old")}, {file(".wh.a", ""), file("a", "new")}},
			[]string{"a=new"},
		},
		{
			"a directory deleted and made again",
			[][]*tar.Header{{dir("a/"), file("a/old", "")}, {file(".wh.a", ""), dir("a/"), file("a/new", "")}},
			[]string{"a/", "a/new="},
		},
		{
			"a directory deleted and made again because it is needed",
			[][]*tar.Header{{dir("a/"), file("a/old", "")}, {file(".wh.a", ""), file("a/new", "")}},
			[]string{"a/", "a/new="},
		},
		{
			"a whiteout never hides its own layer",
			[][]*tar.Header{{file("a", "old"), dir("d/"), file("d/old", "")}, {file("a", "new"), file(".wh.a", ""), dir("d/"), file("d/new", ""), file(".wh.d", "")}},
			[]string{"a=new", "d/", "d/new="},
		},
		{
			"an opaque directory",
			[][]*tar.Header{{dir("a/"), file("a/old", ""), dir("a/b/"), file("a/b/old", "")}, {dir("a/"), file("a/.wh..wh..opq", ""), file("a/new", "")}},
			[]string{"a/", "a/new="},
		},
		{
			"an opaque directory, marked at the end",
			[][]*tar.Header{
				{dir("a/"), file("a/old", ""), dir("a/b/"), file("a/b/old", "")},
				{dir("a/"), file("a/new", ""), dir("a/b/"), file("a/b/new", ""), dir("a/b/c/"), file("a/.wh..wh..opq", "")},
			},
			[]string{"a/", "a/b/", "a/b/c/", "a/b/new=", "a/new="},
		},
		{
			"a whiteout in an opaque directory",
			[][]*tar.Header{
				{dir("a/"), file("a/b", ""), dir("a/c/"), file("a/c/d", ""), dir("e/"), file("e/f", "")},
				{file("a/.wh.b", ""), file("a/c/.wh.d", ""), file("a/.wh..wh..opq", ""), file("a/c/new", ""), file("e/.wh..wh..opq", ""), file("e/.wh.f", "")},
			},
			[]string{"a/", "a/c/", "a/c/new=", "e/"},
		},
		{
			"a whiteout below a file",
			[][]*tar.Header{
				{dir("a/"), file("a/b", ""), dir("c/"), file("c/d", "")},
				{file("a/.wh.b", ""), file("a", "new"), file("c", "new"), file("c/.wh.d", ""), file("c/.wh..wh..opq", "")},
			},
			[]string{"a=new", "c=new"},
		},
		{
			"a whiteout below another",
			[][]*tar.Header{
				{dir("a/"), file("a/b", ""), dir("c/"), dir("c/d/"), file("c/d/e", "")},
				{file(".wh.a", ""), file("a/.wh.b", ""), file("c/d/.wh.e", ""), file("c/.wh.d", ""), file(".wh.c", "")},
			},
			[]string{},
		},
		{
			"an opaque directory, marked before it is named",
			[][]*tar.Header{{dir("a/"), file("a/old", "")}, {file("a/.wh..wh..opq", ""), dir("a/"), file("a/new", "")}},
			[]string{"a/", "a/new="},
		},
	}
}

// links are stacks with names that are named in other ways.
func links() []stack {
	return []stack{
		{
			"a path named twice",
			[][]*tar.Header{{}, {file("a", "first"), file("a", "second")}},
			[]string{"a=second"},
		},
		{
			"a path named as a directory, then as a file, then again",
			[][]*tar.Header{{}, {dir("a/"), file("a/b", ""), dir("a/c/"), file("a/c/d", ""), file("a", "file"), dir("a/"), file("a/e", "")}},
			[]string{"a/", "a/e="},
		},
		{
			"hard links",
			[][]*tar.Header{{}, {dir("d/"), file("d/a", "same"), hardlink("b", "d/a"), hardlink("d/c", "b")}},
			[]string{"b=same", "d/", "d/a=same", "d/c=same"},
		},
		{
			"a hard link takes the place of a directory",
			[][]*tar.Header{{dir("b/"), file("b/x", "")}, {file("a", "same"), hardlink("b", "a")}},
			[]string{"a=same", "b=same"},
		},
		{
			"a hard link to a link",
			[][]*tar.Header{{}, {symlink("a", "nowhere"), hardlink("b", "a")}},
			[]string{"a -> nowhere", "b -> nowhere"},
		},
		{
			"absolute names are names in the root",
			[][]*tar.Header{{}, {dir("/a/"), file("/a/b", "x"), hardlink("./c", "/a/b")}},
			[]string{"a/", "a/b=x", "c=x"},
		},
		{
			"three layers",
			[][]*tar.Header{
				{dir("a/"), file("a/1", ""), dir("b/"), file("b/1", "")},
				{file(".wh.a", ""), file("b/.wh.1", ""), file("b/2", "")},
				{dir("a/"), file("a/3", ""), file("b/1", "again")},
			},
			[]string{"a/", "a/3=", "b/", "b/1=again", "b/2="},
		},
	}
}

type stack struct {
	name   string
	layers [][]*tar.Header
	want   []string
}

// changes reads the layer i.
func (s stack) changes(t *testing.T, i int) iter.Seq2[layer.Change, error] {
	return layer.ReadTar(tarOf(t, clone(s.layers[i])...))
}

// clone copies headers: making a tar of them changes them.
func clone(headers []*tar.Header) []*tar.Header {
	copies := make([]*tar.Header, len(headers))
	for i, h := range headers {
		c := *h
		copies[i] = &c
	}
	return copies
}
