package inroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// both runs a test with the kernel resolving names and with us doing it.
func both(t *testing.T, dir string, test func(t *testing.T, r *Root)) {
	t.Helper()
	for _, old := range []bool{false, true} {
		name := "openat2"
		if old {
			name = "step by step"
		}
		t.Run(name, func(t *testing.T) {
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}()
			r.old = old
			test(t, r)
		})
	}
}

// tree makes files, and links where an entry is "name -> target".
func tree(t testing.TB, entries ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, target, isLink := strings.Cut(e, " -> ")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, path)
		case strings.HasSuffix(e, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// content opens name and returns what it holds: in these tests, where it is.
func content(r *Root, name string) (string, error) {
	f, err := r.Open(name)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(f)
	return string(data), errors.Join(err, f.Close())
}

func TestNamesStayInside(t *testing.T) {
	dir := tree(t,
		"etc/passwd", "usr/lib/x", "lib -> usr/lib", "a/b/c", "a/up -> ..", "a/abs -> /etc", "a/far -> ../../../../../etc",
		"chain -> a/abs", "loop -> loop", "loop1 -> loop2", "loop2 -> loop1", "self -> .", "root -> /", "dangling -> nowhere",
		"slashes -> usr//lib//", "file -> etc/passwd", "absfile -> /etc/passwd", "magic -> /proc/self/root",
	)
	outside := filepath.Join(filepath.Dir(dir), "etc")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "passwd"), []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		want string // content
		err  error
	}{
		{"etc/passwd", "etc/passwd", nil},
		{"/etc/passwd", "etc/passwd", nil},
		{"./etc//./passwd", "etc/passwd", nil},
		{"../etc/passwd", "etc/passwd", nil},
		{"../../../../etc/passwd", "etc/passwd", nil},
		{"a/../../etc/passwd", "etc/passwd", nil},
		{"lib/x", "usr/lib/x", nil},
		{"lib/../../etc/passwd", "etc/passwd", nil},
		{"lib/../lib/x", "usr/lib/x", nil},
		{"a/abs/passwd", "etc/passwd", nil},
		{"a/far/passwd", "etc/passwd", nil},
		{"a/up/etc/passwd", "etc/passwd", nil},
		{"chain/passwd", "etc/passwd", nil},
		{"self/self/self/etc/passwd", "etc/passwd", nil},
		{"root/a/up/root/etc/passwd", "etc/passwd", nil},
		{"slashes/x", "usr/lib/x", nil},
		{"file", "etc/passwd", nil},
		{"absfile", "etc/passwd", nil},
		{"a/b/../b/c", "a/b/c", nil},
		{"dangling", "", unix.ENOENT},
		{"dangling/x", "", unix.ENOENT},
		{"nowhere", "", unix.ENOENT},
		{"etc/passwd/x", "", unix.ENOTDIR},
		{"etc/passwd/..", "", unix.ENOTDIR},
		{"etc/passwd/", "etc/passwd", nil}, // a slash at the end means nothing here
		{"loop", "", unix.ELOOP},
		{"loop/x", "", unix.ELOOP},
		{"loop1", "", unix.ELOOP},
		{"loop2/x", "", unix.ELOOP},
		{"magic/etc/passwd", "", unix.ENOENT},
		{strings.Repeat("a/../", 1000) + "etc/passwd", "", unix.ENAMETOOLONG},
	}
	both(t, dir, func(t *testing.T, r *Root) {
		for _, c := range cases {
			got, err := content(r, c.name)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: got %q, %v, want %q, %v", c.name, got, err, c.want, c.err)
			}
		}
	})
}

func TestNoFollow(t *testing.T) {
	dir := tree(t, "etc/passwd", "usr/lib/x", "lib -> usr/lib", "file -> etc/passwd", "a/b -> c", "a/c/d")
	both(t, dir, func(t *testing.T, r *Root) {
		strict := r.NoFollow()
		for _, name := range []string{"etc/passwd", "a/../etc/passwd", "../etc/passwd", "a/c/d"} {
			if _, err := content(strict, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"lib/x", "file", "lib/../etc/passwd", "a/b/d", "lib"} {
			if _, err := content(strict, name); !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
				t.Errorf("open %s: error is %v", name, err)
			}
		}
		if _, err := strict.Lstat("lib/x"); !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("lstat lib/x: error is %v", err)
		}
		if err := strict.MkdirAll("lib/y/z", 0o755); err == nil {
			t.Error("made a directory below a link")
		}
		// A link itself is described, not followed.
		if target, err := strict.Readlink("lib"); target != "usr/lib" || err != nil {
			t.Errorf("readlink lib: %q, %v", target, err)
		}
	})
}

func TestLastElementIsNotFollowed(t *testing.T) {
	dir := tree(t, "target", "dir/x", "link -> target", "dirlink -> dir", "abs -> /target")
	both(t, dir, func(t *testing.T, r *Root) {
		for _, name := range []string{"link", "dirlink", "abs"} {
			st, err := r.Lstat(name)
			if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
				t.Errorf("lstat %s: mode %o, %v", name, st.Mode, err)
			}
			if err := r.Chmod(name, 0o600); !errors.Is(err, unix.EOPNOTSUPP) {
				t.Errorf("chmod %s: error is %v", name, err)
			}
			if err := r.Lutimes(name, unix.Timespec{Sec: 1}, unix.Timespec{Sec: 2}); err != nil {
				t.Error(err)
			}
			if st, err := r.Lstat(name); err != nil || st.Mtim.Sec != 2 || st.Atim.Sec != 1 {
				t.Errorf("lstat %s: times %d, %d, %v", name, st.Atim.Sec, st.Mtim.Sec, err)
			}
			if _, err := r.Create(name, 0o644); !errors.Is(err, fs.ErrExist) {
				t.Errorf("create %s: error is %v", name, err)
			}
			target, err := r.Readlink(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.RemoveAll(name), r.Symlink(target, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"target", "dir"} {
			if st, err := r.Lstat(name); err != nil || st.Mtim.Sec == 2 || st.Mode&0o777 == 0o600 {
				t.Errorf("%s was changed through a link: %v", name, err)
			}
		}
	})
}

func TestMakeAndRemove(t *testing.T) {
	both(t, tree(t), func(t *testing.T, r *Root) {
		dir := tree(t, "real/", "link -> /real")
		made, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		made.old = r.old
		steps := []error{
			made.MkdirAll("link/a/b", 0o750),
			made.MkdirAll("link/a/b", 0o700), // is there
			made.Mkdir("real/a/c", 0o1777),
			made.Symlink("x", "link/a/s"),
			made.Mknod("real/a/p", unix.S_IFIFO|0o600, 0),
			made.Link("link/a/p", "real/a/p2"),
			made.Rename("real/a/p", "real/a/b/p"),
			made.Chmod("real/a/b/p", 0o640),
			made.RemoveAll("real/a/nothing/at/all"),
		}
		if err := errors.Join(steps...); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]uint32{
			"real/a": unix.S_IFDIR | 0o750, "real/a/b": unix.S_IFDIR | 0o750, "real/a/c": unix.S_IFDIR | 0o1777,
			"real/a/s": unix.S_IFLNK | 0o777, "real/a/b/p": unix.S_IFIFO | 0o640, "real/a/p2": unix.S_IFIFO | 0o640,
		} {
			if st, err := made.Lstat(name); err != nil || st.Mode != want {
				t.Errorf("%s has mode %o, want %o, %v", name, st.Mode, want, err)
			}
		}
		for name, want := range map[string]error{"real": unix.ENOTEMPTY, "real/none": unix.ENOENT, ".": unix.EINVAL, "real/..": unix.EINVAL} {
			if err := made.Remove(name); !errors.Is(err, want) {
				t.Errorf("remove %s: error is %v, want %v", name, err, want)
			}
		}
		if err := made.RemoveAll("link/a"); err != nil {
			t.Error(err)
		}
		list, err := made.ReadDir("link")
		if len(list) != 0 || err != nil {
			t.Errorf("left: %v, %v", list, err)
		}
	})
}

func TestErrorsNameThePath(t *testing.T) {
	both(t, tree(t, "a/b"), func(t *testing.T, r *Root) {
		_, err := r.Lstat("a/none")
		var pathError *fs.PathError
		if !errors.As(err, &pathError) || pathError.Path != "a/none" || err.Error() != "lstat a/none: no such file or directory" {
			t.Errorf("error is %v", err)
		}
	})
}

func TestOnlyFilesAreOpened(t *testing.T) {
	dir := tree(t, "d/", "file")
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	both(t, dir, func(t *testing.T, r *Root) {
		if _, err := r.Open("fifo"); !errors.Is(err, errNoFile) { // and does not wait for a writer
			t.Errorf("open fifo: error is %v", err)
		}
		d, err := r.Dir(".")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, name := range []string{"file", "d", "."} {
			f, err := d.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestDirTakesSingleElements(t *testing.T) {
	r, err := Open(tree(t, "a/b"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d, err := r.Dir("a")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, name := range []string{"", "..", "../x", "a/b", "/x", "x\x00"} {
		_, lstat := d.Lstat(name)
		_, create := d.Create(name, 0o644)
		_, open := d.Open(name)
		for _, err := range []error{lstat, create, open, d.Mkdir(name, 0o755), d.RemoveAll(name), d.Rename("b", d, name), d.Link(d, "b", name)} {
			if !errors.Is(err, unix.EINVAL) {
				t.Errorf("%q: error is %v", name, err)
			}
		}
	}
}

func TestXattrs(t *testing.T) {
	dir := tree(t, "d/f", "l -> d/f")
	both(t, dir, func(t *testing.T, r *Root) {
		large := strings.Repeat("x", 1000)
		err := r.Lsetxattr("d/f", "user.large", large)
		if errors.Is(err, unix.ENOTSUP) {
			t.Skip("the file system has no extended attributes")
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if err := r.Lsetxattr("d", fmt.Sprintf("user.with-a-long-name-%d", i), ""); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := r.Lgetxattr("d/f", "user.large"); got != large || err != nil {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if list, err := r.Llistxattr("d"); len(list) != 20 || err != nil {
			t.Errorf("got %v, %v", list, err)
		}
		if list, err := r.Llistxattr("l"); len(list) != 0 || err != nil {
			t.Errorf("the link's own: %v, %v", list, err)
		}
		if err := r.Lremovexattr("d/f", "user.large"); err != nil {
			t.Error(err)
		}
		if _, err := r.Lgetxattr("d/f", "user.large"); !errors.Is(err, unix.ENODATA) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestOldChmod(t *testing.T) {
	dir := tree(t, "d/f", "l -> d/f")
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.dir.oldChmod("d", 0o1700); err != nil {
		t.Error(err)
	}
	if st, err := r.Lstat("d"); err != nil || st.Mode&0o7777 != 0o1700 {
		t.Errorf("mode is %o, %v", st.Mode, err)
	}
	if err := r.dir.oldChmod("l", 0o1700); err != unix.EOPNOTSUPP {
		t.Errorf("a link: error is %v", err)
	}
}

func TestRemoveAllLeavesMounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting takes root")
	}
	dir := tree(t, "a/b/mnt/", "a/b/x", "a/c/y", "a/file")
	mounted := tree(t, "sentinel")
	for from, to := range map[string]string{mounted: "a/b/mnt", filepath.Join(mounted, "sentinel"): "a/file"} {
		at := filepath.Join(dir, to)
		if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
			t.Skipf("mount: %v", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(at, 0); err != nil {
				t.Error(err)
			}
		})
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.RemoveAll("a"); !errors.Is(err, unix.EBUSY) {
		t.Errorf("error is %v, want %v", err, unix.EBUSY)
	}
	if _, err := os.Lstat(filepath.Join(mounted, "sentinel")); err != nil {
		t.Errorf("what was mounted is gone: %v", err)
	}
	for _, gone := range []string{"a/b/x", "a/c"} {
		if _, err := r.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left, %v", gone, err)
		}
	}
}

func TestRemoveAllOfManyAndDeep(t *testing.T) {
	r, err := Open(tree(t, "d/"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 3 * removeBatch {
		if err := r.Symlink("x", fmt.Sprintf("d/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	deep := "d"
	for range 300 {
		deep += "/deep"
	}
	if err := r.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveAll("d"); err != nil {
		t.Fatal(err)
	}
	if list, err := r.ReadDir("."); len(list) != 0 || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
}
