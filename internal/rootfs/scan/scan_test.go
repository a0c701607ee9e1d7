package scan_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContentHoldsTheSize(t *testing.T) {
	path := write(t, "f", "content")
	for size, want := range map[int64]string{7: "", 6: "longer", 8: "shorter", 0: "longer"} {
		f, err := scan.Content(path, size)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if want == "" && (err != nil || string(data) != "content") {
			t.Errorf("size %d: %q, %v", size, data, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("size %d: the error is %v, want one that says %s", size, err, want)
		}
	}
	empty, err := scan.Content(write(t, "empty", ""), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if data, err := io.ReadAll(empty); err != nil || len(data) != 0 {
		t.Errorf("an empty file reads %q, %v", data, err)
	}
}

func TestSameContent(t *testing.T) {
	large := strings.Repeat("x", 300<<10)
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"a", "a", true},
		{"a", "b", false},
		{"a", "", false},
		{large, large, true},
		{large, large + "y", false},
		{large + "z", large + "y", false},
	} {
		got, err := scan.SameContent(write(t, "a", test.a), write(t, "b", test.b))
		if err != nil || got != test.want {
			t.Errorf("files of %d and %d bytes are the same: %v, %v", len(test.a), len(test.b), got, err)
		}
	}
}

func TestReadingLeavesTheAccessTime(t *testing.T) {
	path := write(t, "f", "content")
	old := unix.NsecToTimespec(1e18)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{old, old}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := scan.SameContent(path, path); err != nil {
		t.Fatal(err)
	}
	st, err := scan.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Atim != old {
		t.Errorf("the access time is %v, want %v", st.Atim, old)
	}
}

func TestXattrs(t *testing.T) {
	path := write(t, "f", "")
	want := map[string]string{"user.short": "v", "user.empty": "", "user.long": string(bytes.Repeat([]byte{'x', 0}, 900))}
	for name, value := range want {
		if err := unix.Setxattr(path, name, []byte(value), 0); err != nil {
			t.Skipf("the file system has no extended attributes: %v", err)
		}
	}
	if err := unix.Setxattr(path, "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	got, err := scan.Xattrs(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the attributes are %q, %v; want %q", got, err, want)
	}
}

func TestSocketIsNoEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	st, err := scan.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scan.Entry(path, "s", &st); err != scan.ErrSocket {
		t.Errorf("the error is %v, want %v", err, scan.ErrSocket)
	}
}

// TestCollectorLinks gives the names of files in order and looks at which of
// them become links.
func TestCollectorLinks(t *testing.T) {
	file := func(path string) layer.Entry { return layer.Entry{Path: path, Type: layer.Regular, Size: 1} }
	one, two, was, other := scan.Inode{Ino: 1}, scan.Inode{Ino: 2}, &scan.Inode{Ino: 8}, &scan.Inode{Ino: 9}
	var c scan.Collector
	c.AddLinked(file("a"), one, was)   // an old name that is needed: "c" is new
	c.AddLinked(file("b"), two, other) // two old names of one file, as before
	c.AddLinked(file("c"), one, nil)
	c.AddLinked(file("d"), two, other)
	c.Add(file("e"))
	entries, unchanged := c.Finish(&layer.Entry{Path: ".", Type: layer.Dir})
	var got []string
	for _, e := range entries {
		got = append(got, e.Path+"="+e.Linkname)
	}
	if want := []string{".=", "a=", "c=a", "e="}; !slices.Equal(got, want) {
		t.Errorf("the entries are %q, want %q", got, want)
	}
	slices.Sort(unchanged)
	if want := []string{"b", "d"}; !slices.Equal(unchanged, want) {
		t.Errorf("unchanged are %q, want %q", unchanged, want)
	}
}
