package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// maxMemoryKiB is what kiln promises to stay below, whatever it builds.
const maxMemoryKiB = 100 << 10

// 100,000 small files are copied in, every tenth is changed, and all are copied
// once more by a RUN: kiln itself stays below 100 MiB.
func TestMemoryWithManyFiles(t *testing.T) {
	r := testenv.Registry(t)
	dir := source(t, map[string]string{"Dockerfile": "FROM " + testenv.BusyboxBase(t, r) + "\n" +
		"COPY files /files\n" +
		"RUN find /files -name '*0' -type f -exec touch {} +\n" +
		"RUN cp -a /files /more\n"})
	for d := range 1000 {
		sub := filepath.Join(dir, "files", fmt.Sprintf("directory-%03d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 100 {
			name := filepath.Join(sub, fmt.Sprintf("file-%02d", f))
			if err := os.WriteFile(name, fmt.Appendf(nil, "file %d of directory %d\n", f, d), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := newBuilder(t, r)
	checkMemory(t, "the first build", b.build("-t", r.Ref("many:1"), "--push", dir))
	checkMemory(t, "all in the cache", b.build("-t", r.Ref("many:2"), "--push", dir))
}

// A big file goes through COPY and RUN, and kiln stays below 100 MiB. It is 1
// GiB here and 5 GiB in make jobs; half of it is a hole.
func TestMemoryWithABigFile(t *testing.T) {
	size := int64(1 << 30)
	if os.Getenv(jobsVariable) != "" {
		size = 5 << 30
	}
	if testing.Short() {
		size = 64 << 20
	}
	r := testenv.Registry(t)
	dir := source(t, map[string]string{"Dockerfile": "FROM " + testenv.BusyboxBase(t, r) + "\n" +
		"COPY big /big\n" +
		"RUN cp /big /bigger && echo more >> /bigger\n"})
	writeBig(t, filepath.Join(dir, "big"), size)
	checkMemory(t, fmt.Sprintf("a file of %d MiB", size>>20), newBuilder(t, r).build("-t", r.Ref("big:1"), "--push", dir))
}

// writeBig makes a file with content that repeats every few pages in its first
// half, and a hole in the second.
func writeBig(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i>>8) ^ byte(i*i)
	}
	for written := int64(0); written < size/2; written += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

func checkMemory(t *testing.T, what string, r result) {
	t.Helper()
	t.Logf("%s: %v, peak memory %.1f MiB", what, r.took, float64(r.peakKiB)/1024)
	if r.peakKiB == 0 || r.peakKiB >= maxMemoryKiB {
		t.Errorf("%s: kiln had %d KiB of memory, and promises to stay below %d", what, r.peakKiB, maxMemoryKiB)
	}
}
