package unpack_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
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
