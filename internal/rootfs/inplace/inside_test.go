package inplace_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/inplace"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
	"github.com/kiln-build/kiln/internal/store"
)

// The tests in this file take apart the root filesystem they run in. They run
// only where the harness of harness_test.go has put them: all three of its
// marks have to be there.
const (
	harnessVariable = "KILN_TEST_INPLACE"
	harnessFile     = "/kiln-inplace-test"
	// harnessShell is PID 1, which started the tests.
	harnessShell = "/bin/busybox"
)

func TestMain(m *testing.M) {
	if code, ok := rootfstest.Main(os.Args); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// insideOnly skips a test that is not in the harness's container.
func insideOnly(t testing.TB) {
	t.Helper()
	if os.Getenv(harnessVariable) == "" {
		t.Skip("runs in the container that TestInContainer makes")
	}
	if inplace.Container("/", os.Getenv) == "" {
		t.Fatal("this is not a container")
	}
	if _, err := os.Lstat(harnessFile); err != nil {
		t.Fatalf("this is not the container of the tests: %v", err)
	}
	if program, err := os.Readlink("/proc/1/exe"); err != nil || program != harnessShell {
		t.Fatalf("this is not the container of the tests: PID 1 is %s, %v", program, err)
	}
}

func engine(t testing.TB, s *store.Store) rootfs.Engine {
	return inplace.New(inplace.Options{
		Store: s, Runner: namespaces.New(s), Keep: []string{os.TempDir()},
	})
}

// TestInside runs the engines' suite.
func TestInside(t *testing.T) {
	insideOnly(t)
	rootfstest.Run(t, engine)
}

// TestInsideTwenty holds that after each of twenty root filesystems, one after
// the other, the container is as it was, and that none has files of another.
func TestInsideTwenty(t *testing.T) {
	insideOnly(t)
	b := rootfstest.NewBench(t, engine)
	before := inventory(t)
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			own := fmt.Sprintf("own%d", i)
			layer := b.Layer(
				rootfstest.Dir(own, 0o700), rootfstest.File(own+"/f", 0o644, own),
				rootfstest.Symlink("usr", own), // the container has a mount in /usr/lib
				rootfstest.File("tests", 0o644, "the image's own"),
			)
			sub := *b
			sub.TB = t
			r := sub.Open(layer)
			r.Shows(own, `ls -d /own*|cut -c2-`)
			r.Shows("the image's own", `cat /tests`)
			r.Do(`rm -r /bin/ls /usr/share 2>/dev/null || true; chmod 700 / /etc; echo x >/new; mkdir -p /usr/lib/x /run/a; echo x >/run/a/b; rm /tests`)
			d, err := r.FS.Diff(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, e := range d.Entries() {
				paths = append(paths, e.Path)
			}
			want := []string{".", "bin", "bin/ls", "etc", "new", "run", "run/a", "run/a/b", "tests"}
			if slices.Sort(paths); !slices.Equal(paths, want) {
				t.Errorf("changed are %q, want %q", paths, want)
			}
			if err := d.Release(""); err != nil {
				t.Fatal(err)
			}
		})
		after := inventory(t)
		if !slices.Equal(after, before) {
			t.Fatalf("the container has\n%s\nand had\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	}
}

// BenchmarkInsideDiff measures finding out that a RUN has changed one file of
// 100,000.
func BenchmarkInsideDiff(b *testing.B) {
	insideOnly(b)
	var files rootfstest.Tree
	for i := range 100_000 {
		files = append(files, rootfstest.File(fmt.Sprintf("usr/%d/file%d", i/100, i), 0o644, "x"))
	}
	bench := rootfstest.NewBench(b, engine)
	r := bench.Open(bench.Layer(files...))
	for b.Loop() {
		b.StopTimer()
		r.Do(`echo >/f`)
		b.StartTimer()
		d, err := r.FS.Diff(b.Context())
		if err != nil || len(d.Entries()) != 1 {
			b.Fatal(d, err)
		}
		if err := d.Release(""); err != nil {
			b.Fatal(err)
		}
	}
}

// inventory describes the container's files but for those of the tests.
func inventory(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir("/", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains([]string{"/proc", "/sys", "/dev", os.TempDir()}, path) {
			return fs.SkipDir
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %s %d:%d %d", path, info.Mode(), st.Uid, st.Gid, st.Mtim.Nano())
		if info.Mode().IsRegular() {
			line += fmt.Sprintf(" %d bytes", info.Size())
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
