package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// entries is a tree of directories, files and links: the values are "/" for a
// directory, "" for a file, else the target of a link.
type entries map[string]string

func (m entries) Lstat(path string) (layer.Entry, error) {
	target, ok := m[path]
	switch {
	case path == "." || ok && target == "/":
		return layer.Entry{Path: path, Type: layer.Dir}, nil
	case !ok:
		return layer.Entry{}, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
	case target == "":
		return layer.Entry{Path: path, Type: layer.Regular}, nil
	}
	return layer.Entry{Path: path, Type: layer.Symlink, Linkname: strings.TrimPrefix(target, "=")}, nil
}

func TestResolve(t *testing.T) {
	shown := entries{
		"d": "/", "d/e": "/", "d/f": "", "rel": "d", "abs": "/d/e", "up": "../../../d", "in": "=d/e/../f", "chain": "rel/e",
		"d/back": "..", "d/abs": "/rel", "root": "=/", "gone": "nowhere/at/all", "d/gone": "../x", "self": "self", "a": "b", "b": "a",
		"through": "=d/f/x", "dots": "=./d/./e/.",
	}
	for _, test := range []struct{ name, want, lstat string }{
		{"d/e", "d/e", ""},
		{"", ".", ""}, {".", ".", ""}, {"/", ".", ""}, {"..", ".", ""}, {"../../d", "d", ""}, {"//d///e//", "d/e", ""},
		{"d/./e/..", "d", ""},
		{"rel", "d", "rel"}, {"rel/e", "d/e", ""}, {"abs", "d/e", "abs"}, {"up/e", "d/e", ""}, {"in", "d/f", "in"},
		{"chain", "d/e", "chain"}, {"d/back/rel/f", "d/f", ""}, {"d/abs/e", "d/e", ""}, {"root/d", "d", ""}, {"dots", "d/e", "dots"},
		{"rel/..", ".", ""}, {"abs/..", "d", ""},
		{"new", "new", ""}, {"new/a/b", "new/a/b", ""}, {"new/../d", "d", ""}, {"new/a/../../rel/x", "d/x", ""},
		{"gone", "nowhere/at/all", "gone"}, {"gone/x", "nowhere/at/all/x", ""}, {"d/gone", "x", "d/gone"}, {"gone/../../../rel", "d", "rel"},
		{"d/f", "d/f", ""}, {"d/f/", "d/f", ""}, {"d/f/.", "d/f", ""},
		{"d/f/x", "error", ""}, {"d/f/..", "error", ""}, {"through", "error", "through"},
		{"self", "error", "self"}, {"self/x", "error", ""}, {"a/x", "error", ""},
	} {
		got, err := tree.Resolve(shown, test.name)
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", test.name, got, err, test.want)
		}
		want := test.lstat
		if want == "" {
			want = test.want
		}
		if got, err := tree.ResolveParent(shown, test.name); err != nil && want != "error" || err == nil && got != want {
			t.Errorf("ResolveParent(%q) = %q, %v; want %q", test.name, got, err, want)
		}
	}
	if _, err := tree.Resolve(shown, "self"); !errors.Is(err, tree.ErrTooManyLinks) {
		t.Errorf("a link to itself: %v", err)
	}
}

func TestClean(t *testing.T) {
	for name, want := range map[string]string{"": ".", "/": ".", "..": ".", "../a": "a", "/a/../b/": "b", "a//b/.": "a/b"} {
		if got := tree.Clean(name); got != want {
			t.Errorf("Clean(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzResolve resolves a name in a tree, and compares with what the kernel
// says about the same tree on disk, for names that exist.
func FuzzResolve(f *testing.F) {
	f.Add("a/../b/c", "a=/b\nb/c=../../a\nb/d=")
	f.Add("l/x/..", "l=m\nm=n\nn=/d\nd/x=.")
	f.Add("a/b/c", "a=.\nb=..\nc=a/b/c")
	f.Add("x/y/z", "x=/\ny=x/x/x\nz=y/./y/../w\nw=")
	f.Fuzz(func(t *testing.T, name, layout string) {
		if strings.ContainsRune(name, 0) {
			t.Skip()
		}
		shown, dir := layOut(t, layout)
		got, err := tree.Resolve(shown, name)
		if err == nil {
			requireResolved(t, shown, got)
		}
		want, kernel := inRoot(t, dir, name)
		switch {
		case kernel == nil && err != nil && !errors.Is(err, tree.ErrTooManyLinks):
			t.Errorf("Resolve(%q) fails with %v; the kernel finds %s", name, err, want)
		case kernel == nil && err == nil && got != want:
			t.Errorf("Resolve(%q) = %q; the kernel finds %q", name, got, want)
		case errors.Is(kernel, unix.ENOTDIR) && err == nil && !strings.HasSuffix(strings.TrimRight(name, "."), "/") && !endsInDots(shown):
			t.Errorf("Resolve(%q) = %q; the kernel says %v", name, got, kernel)
		}
	})
}

// endsInDots reports whether there is a link that asks for a directory by a
// slash: "f/." and "f/" are errors for the kernel, but not for BuildKit.
func endsInDots(m entries) bool {
	for _, target := range m {
		if target != "/" && (strings.HasSuffix(target, "/") || strings.HasSuffix(target, ".")) {
			return true
		}
	}
	return false
}

// requireResolved checks that a path stays in the root and leads through no
// links.
func requireResolved(t *testing.T, shown entries, path string) {
	t.Helper()
	if path != tree.Clean(path) {
		t.Errorf("%q is not clean", path)
	}
	for p := path; p != "."; p = layer.Parent(p) {
		if e, err := shown.Lstat(p); err == nil && e.Type == layer.Symlink {
			t.Errorf("%q leads through the link %s", path, p)
		}
	}
}

// layOut makes the same tree in memory and on disk. Each line is "path=target"
// for a link, "path=" for a file.
func layOut(t *testing.T, layout string) (entries, string) {
	dir, shown := t.TempDir(), make(entries)
	for line := range strings.SplitSeq(layout, "\n") {
		path, target, ok := strings.Cut(line, "=")
		path = tree.Clean(path)
		if !ok || len(line) > 200 || strings.ContainsRune(line, 0) || path == "." || strings.Count(path, "/") > 5 {
			continue
		}
		if _, exists := shown[path]; exists || !makeParents(shown, dir, layer.Parent(path)) {
			continue
		}
		var err error
		if target == "" {
			err = os.WriteFile(filepath.Join(dir, path), nil, 0o600)
		} else {
			err, target = os.Symlink(target, filepath.Join(dir, path)), "="+target
		}
		if err == nil {
			shown[path] = target
		}
	}
	return shown, dir
}

func makeParents(shown entries, dir, path string) bool {
	if path == "." {
		return true
	}
	if kind, exists := shown[path]; exists {
		return kind == "/"
	}
	if !makeParents(shown, dir, layer.Parent(path)) || os.Mkdir(filepath.Join(dir, path), 0o700) != nil {
		return false
	}
	shown[path] = "/"
	return true
}

// inRoot asks the kernel where name leads if dir is the root.
func inRoot(t *testing.T, dir, name string) (string, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(root, name, &how)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	found, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)))
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	return tree.Clean(strings.TrimPrefix(found, dir)), nil
}
