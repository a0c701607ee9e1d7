package buildcontext_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/buildcontext"
	"github.com/kiln-build/kiln/internal/layer"
)

func TestDirShowsFacts(t *testing.T) {
	dir := files(t, "f", "d/")
	then := time.Unix(1_600_000_000, 123_456_789)
	must(t, os.Chmod(filepath.Join(dir, "f"), 0o751|os.ModeSetuid))
	must(t, os.Chmod(filepath.Join(dir, "d"), 0o770|os.ModeSetgid|os.ModeSticky))
	must(t, os.Chtimes(filepath.Join(dir, "f"), then, then))
	must(t, os.Symlink("../outside", filepath.Join(dir, "l")))
	must(t, unix.Mkfifo(filepath.Join(dir, "p"), 0o600))
	must(t, os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "d/g")))
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	defer socket.Close()
	if os.Getuid() == 0 {
		must(t, os.Chown(filepath.Join(dir, "d"), 5, 6))
	}
	d := open(t, dir, "")

	f := lstat(t, d, "f")
	if f.Type != layer.Regular || f.Mode != 0o4751 || !f.ModTime.Equal(then) || f.Size != int64(len("content of f")) {
		t.Errorf("f is %+v", f)
	}
	if e := lstat(t, d, "d"); e.Type != layer.Dir || e.Mode != 0o3770 || e.UID != 0 || e.GID != 0 {
		t.Errorf("d is %+v", e)
	}
	if e := lstat(t, d, "l"); e.Type != layer.Symlink || e.Linkname != "../outside" {
		t.Errorf("l is %+v", e)
	}
	if e := lstat(t, d, "p"); e.Type != layer.Fifo || e.Mode != 0o600 {
		t.Errorf("p is %+v", e)
	}
	if e := lstat(t, d, "s"); e.Type != layer.Regular || e.Size != 0 {
		t.Errorf("a socket is %+v, want an empty file", e)
	}
	if g := lstat(t, d, "d/g"); f.Linkname == "" || g.Linkname != f.Linkname {
		t.Errorf("two names of one file are told apart: %q and %q", f.Linkname, g.Linkname)
	}
	if e := lstat(t, d, "."); e.Type != layer.Dir {
		t.Errorf("the root is %+v", e)
	}
}

func TestDirShowsNoExtendedAttributes(t *testing.T) {
	dir := files(t, "f")
	if err := unix.Setxattr(filepath.Join(dir, "f"), "user.note", []byte("x"), 0); err != nil {
		t.Skip("no extended attributes here: ", err)
	}
	if e := lstat(t, open(t, dir, ""), "f"); len(e.Xattrs) != 0 {
		t.Errorf("attributes are %v", e.Xattrs)
	}
}

func TestDirDoesNotFollowLinksOut(t *testing.T) {
	outside := files(t, "secret")
	dir := files(t, "f")
	must(t, os.Symlink(outside, filepath.Join(dir, "l")))
	d := open(t, dir, "")
	if _, err := d.Lstat("l/secret"); err == nil {
		t.Error("a file outside is shown")
	}
	if _, err := d.Open(t.Context(), "l/secret"); err == nil {
		t.Error("a file outside was opened")
	}
	if _, err := d.ReadDir("l"); err == nil {
		t.Error("a directory outside was listed")
	}
}

func TestDirLeavesAccessTimes(t *testing.T) {
	dir := files(t, "d/f")
	long := time.Now().Add(-72 * time.Hour) // relatime updates what is so old
	for _, name := range []string{"d/f", "d", "."} {
		must(t, os.Chtimes(filepath.Join(dir, name), long, long))
	}
	before := atimes(t, dir, "d/f", "d", ".")
	d := open(t, dir, "")
	list(t, d)
	if _, err := d.Sum(t.Context(), "d/f"); err != nil {
		t.Fatal(err)
	}
	if after := atimes(t, dir, "d/f", "d", "."); !slices.Equal(before, after) {
		t.Errorf("access times went from %v to %v", before, after)
	}
}

func atimes(t *testing.T, dir string, names ...string) []int64 {
	t.Helper()
	var times []int64
	for _, name := range names {
		var st syscall.Stat_t
		must(t, syscall.Lstat(filepath.Join(dir, name), &st))
		times = append(times, st.Atim.Sec)
	}
	return times
}

func TestDirRemembers(t *testing.T) {
	dir := files(t, "a/f")
	d := open(t, dir, "")
	want := list(t, d)
	sum, err := d.Sum(t.Context(), "a/f")
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(dir, "a")))
	if got := list(t, d); got != want {
		t.Errorf("shows %q, showed %q", got, want)
	}
	if again, err := d.Sum(t.Context(), "a/f"); err != nil || again != sum {
		t.Errorf("digest is %x, %v; was %x", again, err, sum)
	}
	if e := lstat(t, d, "a/f"); e.Content != sum {
		t.Errorf("the entry does not know its digest")
	}
}

func TestDirPrefetches(t *testing.T) {
	dir := files(t, "a/f", "b/g", "c/d/h")
	d := open(t, dir, "b")
	d.Prefetch("a", "b", "c", "none")
	if got, want := list(t, d), "a a/f c c/d c/d/h"; got != want {
		t.Errorf("shows %q, want %q", got, want)
	}
}

func TestUnreadableDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := files(t, "a/f", "b/g")
	must(t, os.Chmod(filepath.Join(dir, "a"), 0))
	defer os.Chmod(filepath.Join(dir, "a"), 0o755) // for the clean-up
	if _, err := open(t, dir, "").ReadDir("a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error is %v", err)
	}
	if got := list(t, open(t, dir, "a")); got != "b b/g" {
		t.Errorf("with the directory ignored: %q", got)
	}
}

func TestReadIgnore(t *testing.T) {
	dir := files(t, "Dockerfile", "deploy/app.Dockerfile")
	write := func(name, content string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)) }
	read := func(dockerfile string) string {
		ig, err := buildcontext.ReadIgnore(dir, dockerfile)
		must(t, err)
		if ig == nil {
			return ""
		}
		return ig.Name + ": " + ig.Pattern("x/y")
	}
	app := filepath.Join(dir, "deploy/app.Dockerfile")
	if got := read(app); got != "" {
		t.Errorf("without a file: %q", got)
	}
	write(".dockerignore", "x")
	if got := read(app); got != filepath.Join(dir, ".dockerignore")+": x" {
		t.Errorf("with .dockerignore: %q", got)
	}
	write("deploy/app.Dockerfile.dockerignore", "\xef\xbb\xbf*\n!x\n/x/y\n")
	if got := read(app); got != app+".dockerignore: x/y" {
		t.Errorf("with a file beside the Dockerfile: %q", got)
	}
	if got := read(""); got != filepath.Join(dir, ".dockerignore")+": x" {
		t.Errorf("for a Dockerfile from stdin: %q", got)
	}
	write(".dockerignore", "a[")
	if _, err := buildcontext.ReadIgnore(dir, ""); err == nil || !strings.Contains(err.Error(), ".dockerignore") {
		t.Errorf("a bad pattern: %v", err)
	}
}

func TestReadDockerfile(t *testing.T) {
	dir := files(t, "Dockerfile", "deploy/app")
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("local", []byte("local"), 0o600))
	for _, test := range []struct{ name, path, content string }{
		{"", filepath.Join(dir, "Dockerfile"), "content of Dockerfile"},
		{"-", "", "from stdin"},
		{"local", "local", "local"},
		{"deploy/app", filepath.Join(dir, "deploy/app"), "content of deploy/app"},
		{filepath.Join(dir, "deploy/app"), filepath.Join(dir, "deploy/app"), "content of deploy/app"},
	} {
		got, err := buildcontext.ReadDockerfile(dir, test.name, strings.NewReader("from stdin"))
		if err != nil || got.Path != test.path || string(got.Content) != test.content {
			t.Errorf("-f %q: %q is %q, error %v", test.name, got.Path, got.Content, err)
		}
	}
	must(t, os.Rename(filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "dockerfile")))
	if got, err := buildcontext.ReadDockerfile(dir, "", nil); err != nil || got.Name != "dockerfile" {
		t.Errorf("in lower case: %q, %v", got.Name, err)
	}
	must(t, os.Remove(filepath.Join(dir, "dockerfile")))
	_, err := buildcontext.ReadDockerfile(dir, "", nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "-f") {
		t.Errorf("without one: %v", err)
	}
}

func TestOpenMissingContext(t *testing.T) {
	if _, err := buildcontext.Open(filepath.Join(t.TempDir(), "gone"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func lstat(t *testing.T, d *buildcontext.Dir, path string) layer.Entry {
	t.Helper()
	e, err := d.Lstat(path)
	must(t, err)
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEmptySocketReads(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	defer socket.Close()
	r, err := open(t, dir, "").Open(t.Context(), "s")
	must(t, err)
	if content, err := io.ReadAll(r); err != nil || len(content) != 0 {
		t.Errorf("a socket reads %q, %v", content, err)
	}
}
