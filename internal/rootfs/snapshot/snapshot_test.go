package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/snapshot"
)

// nothing is a [snapshot.Known] with nothing on record.
type nothing struct{}

func (nothing) Same(context.Context, layer.Entry) (bool, error) { return false, nil }

func take(t testing.TB, root string, skip ...string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Take(t.Context(), root, snapshot.NewSkip(skip...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changed returns the paths that changed since before.
func changed(t testing.TB, root string, before, now *snapshot.Snapshot) []string {
	t.Helper()
	changes, err := snapshot.Compare(t.Context(), root, before, now, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range changes.Entries {
		paths = append(paths, e.Path)
	}
	return paths
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSkippedPathsAreNotSeen(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"a/f", "b/f", "b/c/f", "f"} {
		write(t, filepath.Join(root, path), "old")
	}
	before := take(t, root, "a", "b/c", "f", "not/there")
	for _, path := range []string{"a/f", "b/f", "b/c/f", "f", "a/new", "b/c/new"} {
		write(t, filepath.Join(root, path), "newer")
	}
	if got, want := changed(t, root, before, take(t, root, "a", "b/c", "f", "not/there")), []string{"b/f"}; !slices.Equal(got, want) {
		t.Errorf("changed are %q, want %q", got, want)
	}
}

// TestNoChangeGoesUnnoticed changes a file again and again, right after a
// snapshot, back to the size and modification time that it had.
func TestNoChangeGoesUnnoticed(t *testing.T) {
	dir := t.TempDir()
	root, file := filepath.Join(dir, "root"), filepath.Join(dir, "root", "f")
	write(t, file, "content 0")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		before := take(t, root)
		if err := before.WaitTick(t.Context(), filepath.Join(dir, "clock")); err != nil {
			t.Fatal(err)
		}
		write(t, file, fmt.Sprintf("content %d", i%10))
		if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if got := changed(t, root, before, take(t, root)); !slices.Equal(got, []string{"f"}) {
			t.Fatalf("after change %d changed are %q", i, got)
		}
	}
}

// hundredThousand makes a tree of that many files.
func hundredThousand(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	for i := range 1000 {
		dir := filepath.Join(root, fmt.Sprintf("usr%d/share%d/package%d", i%10, i%100, i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("some-file-name-%d.txt", j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

func BenchmarkTake(b *testing.B) {
	root := hundredThousand(b)
	for b.Loop() {
		take(b, root)
	}
}

func BenchmarkTakeAndCompare(b *testing.B) {
	root := hundredThousand(b)
	before := take(b, root)
	for b.Loop() {
		if got := changed(b, root, before, take(b, root)); len(got) != 0 {
			b.Fatal(got)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	root := hundredThousand(b)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := take(b, root)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100_000, "bytes/file")
		runtime.KeepAlive(s)
	}
}
