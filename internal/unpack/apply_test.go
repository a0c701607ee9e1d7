package unpack_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/unpack"
)

// Layers on top of each other, the lowest first, and what they show together.
func stacks() []stack {
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
			"an opaque directory, marked before it is named",
			[][]*tar.Header{{dir("a/"), file("a/old", "")}, {file("a/.wh..wh..opq", ""), dir("a/"), file("a/new", "")}},
			[]string{"a/", "a/new="},
		},
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

func TestStackedIntoOneDirectory(t *testing.T) {
	for _, s := range stacks() {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range s.layers {
				if err := apply(t, dir, s.changes(t, i), options()); err != nil {
					t.Fatal(err)
				}
			}
			if got := paths(t, dir); !slices.Equal(got, s.want) {
				t.Errorf("got  %q\nwant %q", got, s.want)
			}
		})
	}
}

func TestStackedByOverlayfs(t *testing.T) {
	needRoot(t)
	for _, whiteouts := range []unpack.Whiteouts{unpack.Overlay, unpack.OverlayUserXattr} {
		for _, s := range stacks() {
			t.Run(fmt.Sprintf("%s %d", s.name, whiteouts), func(t *testing.T) {
				lower := []string{shortDir(t)} // overlayfs takes two or more
				for i := range s.layers {
					dir := shortDir(t)
					if err := apply(t, dir, s.changes(t, i), unpack.Options{Whiteouts: whiteouts}); err != nil {
						t.Fatal(err)
					}
					lower = append([]string{dir}, lower...)
				}
				if got := paths(t, mountOverlay(t, lower, whiteouts)); !slices.Equal(got, s.want) {
					t.Errorf("got  %q\nwant %q", got, s.want)
				}
			})
		}
	}
}

// shortDir is a directory whose name can be an option of mount.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kiln-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// mountOverlay mounts the directories, the topmost first, until the test ends.
func mountOverlay(t *testing.T, lower []string, whiteouts unpack.Whiteouts) string {
	t.Helper()
	at := t.TempDir()
	options := "lowerdir=" + strings.Join(lower, ":")
	if whiteouts == unpack.OverlayUserXattr {
		options += ",userxattr"
	}
	if err := unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, options); err != nil {
		t.Skipf("overlayfs cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	return at
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

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		layer []*tar.Header
		want  string
	}{
		"an entry below a file":          {[]*tar.Header{file("a", ""), file("a/b", "")}, "a is not a directory"},
		"a hard link to nothing":         {[]*tar.Header{hardlink("a", "b")}, "hard link to b, which is not there"},
		"a hard link in a link":          {[]*tar.Header{symlink("a", "a"), hardlink("b", "a/c")}, "symbolic links"},
		"a name that leaves the root":    {[]*tar.Header{file("../a", "")}, `"../a": name leaves the root`},
		"a target that leaves the root":  {[]*tar.Header{hardlink("a", "../b")}, `"../b": name leaves the root`},
		"a name that is too long to use": {[]*tar.Header{file(strings.Repeat("n", 300), "")}, "file name too long"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := apply(t, t.TempDir(), layer.ReadTar(tarOf(t, c.layer...)), options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestLinkOfALowerLayerIsNotFollowed(t *testing.T) {
	outside := t.TempDir()
	for _, below := range []*tar.Header{
		file("link/x", "x"), symlink("link/x", "y"), dir("link/"), dir("link/x/"),
		file("link/.wh.sentinel", ""), file("link/.wh..wh..opq", ""), hardlink("link/x", "real"),
	} {
		t.Run(below.Name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(outside, "sentinel"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			lower := tarOf(t, symlink("link", outside), file("real", ""))
			if err := apply(t, root, layer.ReadTar(lower), options()); err != nil {
				t.Fatal(err)
			}
			if err := apply(t, root, layer.ReadTar(tarOf(t, clone([]*tar.Header{below})...)), options()); err != nil {
				t.Fatal(err)
			}
			if got := paths(t, outside); !slices.Equal(got, []string{"sentinel="}) {
				t.Errorf("outside of the root there is %q", got)
			}
		})
	}
}

func TestTimesOfDirectories(t *testing.T) {
	root := t.TempDir()
	if err := apply(t, root, layer.ReadTar(tarOf(t, dir("named/"), file("named/x", ""), dir("kept/"), file("kept/x", ""))), options()); err != nil {
		t.Fatal(err)
	}
	later := dir("named/")
	later.ModTime = when.AddDate(1, 0, 0)
	if err := apply(t, root, layer.ReadTar(tarOf(t, later, file("named/y", ""), file("kept/.wh.x", ""), file("made/x", ""))), options()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"named": later.ModTime.Unix(), "kept": when.Unix(), "made": 0} {
		st, err := os.Lstat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := st.ModTime().Unix(); got != want {
			t.Errorf("%s has the time %d, want %d", name, got, want)
		}
	}
}

func TestAttributesOfDirectories(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	lower := dir("d/")
	lower.Mode, lower.Uid, lower.Gid = 0o2700, 5, 6
	lower.PAXRecords = map[string]string{"SCHILY.xattr.user.lower": "1"}
	if err := apply(t, root, layer.ReadTar(tarOf(t, lower, file("d/x", ""))), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	upper := dir("d/")
	upper.Mode, upper.Uid, upper.Gid = 0o555, 7, 8
	upper.PAXRecords = map[string]string{"SCHILY.xattr.user.upper": "1", "SCHILY.xattr.trusted.overlay.redirect": "/etc"}
	if err := apply(t, root, layer.ReadTar(tarOf(t, upper)), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, root)[0]
	want := fmt.Sprintf(`d 40555 7:8 %d.000000000 user.upper="1"`, when.Unix())
	if got != want {
		t.Errorf("directory is %s\nwant %s", got, want)
	}
}

func TestSetuidAndCapabilitiesOutliveTheOwner(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	f := file("sudo", "#!")
	f.Mode, f.Uid = 0o4755, 33
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00" + strings.Repeat("\x00", 12)
	f.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability}
	if err := apply(t, root, layer.ReadTar(tarOf(t, f)), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, root)[0]
	if !strings.HasPrefix(got, "sudo 104755 33:0 ") || !strings.HasSuffix(got, fmt.Sprintf("security.capability=%q", capability)) {
		t.Errorf("file is %s", got)
	}
}

func TestSingleID(t *testing.T) {
	theirs := file("a", "")
	theirs.Uid, theirs.Gid = 33, 33
	err := apply(t, t.TempDir(), layer.ReadTar(tarOf(t, theirs)), unpack.Options{SingleID: true})
	want := "unpack a: chown to 33:33 is not possible with a single id; install the package uidmap and give the user a range in /etc/subuid and /etc/subgid"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}

	root := t.TempDir()
	readOnly := dir("d/")
	readOnly.Mode = 0o555
	if err := apply(t, root, layer.ReadTar(tarOf(t, readOnly, file("d/f", "f"), symlink("l", "d"))), unpack.Options{SingleID: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := paths(t, root), []string{"d/", "d/f=f", "l -> d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.Chmod(filepath.Join(root, "d"), 0o755); err != nil { // for the test to clean up
		t.Fatal(err)
	}
}

func TestSkipDevices(t *testing.T) {
	root := t.TempDir()
	null := &tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3, Mode: 0o666}
	var skipped []string
	o := unpack.Options{SingleID: true, SkipDevices: true, Skipped: func(path string, _ error) { skipped = append(skipped, path) }}
	if err := apply(t, root, layer.ReadTar(tarOf(t, null, file("f", ""))), o); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(skipped, []string{"dev/null"}) {
		t.Errorf("skipped %q", skipped)
	}
	if got := paths(t, root); !slices.Equal(got, []string{"f="}) {
		t.Errorf("got %q", got)
	}
}

func TestContentOfTheWrongSize(t *testing.T) {
	for _, size := range []int64{10, 1 << 20} {
		for _, content := range []string{strings.Repeat("x", int(size)-1), strings.Repeat("x", int(size)+1)} {
			changes := func(yield func(layer.Change, error) bool) {
				yield(layer.Change{
					Entry:  layer.Entry{Path: "a", Type: layer.Regular, Size: size},
					Reader: strings.NewReader(content),
				}, nil)
			}
			if err := apply(t, t.TempDir(), changes, unpack.Options{SingleID: true}); err == nil {
				t.Errorf("%d bytes were taken for %d", len(content), size)
			}
		}
	}
}

func TestErrorsOfTheChangesComeOut(t *testing.T) {
	broken := errors.New("connection reset")
	data, err := io.ReadAll(tarOf(t, file("a", strings.Repeat("x", 300<<10)), file("b", strings.Repeat("x", 3000))))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 100, 5000, 302 << 10} {
		r := io.MultiReader(strings.NewReader(string(data[:at])), iotest.ErrReader(broken))
		if err := apply(t, t.TempDir(), layer.ReadTar(r), unpack.Options{SingleID: true}); !errors.Is(err, broken) {
			t.Errorf("broken at %d: error is %v, want %v", at, err, broken)
		}
	}
}

func TestCancel(t *testing.T) {
	cause := errors.New("the user has had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	changes := func(yield func(layer.Change, error) bool) {
		for i := 0; ; i++ {
			if i == 100 {
				cancel(cause)
			}
			c := layer.Change{
				Entry:  layer.Entry{Path: fmt.Sprintf("d/%d", i), Type: layer.Regular, Mode: 0o644, Size: 1},
				Reader: strings.NewReader("x"),
			}
			if !yield(c, nil) {
				return
			}
		}
	}
	if err := applyContext(ctx, t, t.TempDir(), changes, unpack.Options{SingleID: true}); !errors.Is(err, cause) {
		t.Errorf("error is %v, want %v", err, cause)
	}
}

func TestAWorkersErrorNamesTheFile(t *testing.T) {
	long := strings.Repeat("n", 300)
	changes := func(yield func(layer.Change, error) bool) {
		for i := 0; ; i++ {
			path := fmt.Sprintf("d/%d", i)
			if i == 50 {
				path = "d/" + long
			}
			c := layer.Change{
				Entry:  layer.Entry{Path: path, Type: layer.Regular, Mode: 0o644, Size: 1},
				Reader: strings.NewReader("x"),
			}
			if !yield(c, nil) {
				return
			}
		}
	}
	err := apply(t, t.TempDir(), changes, unpack.Options{SingleID: true})
	if !errors.Is(err, unix.ENAMETOOLONG) || !strings.Contains(err.Error(), "unpack d/"+long) {
		t.Errorf("error is %v", err)
	}
}
