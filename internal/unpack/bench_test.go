package unpack_test

import (
	"archive/tar"
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/unpack"
)

// BenchmarkSmallFiles unpacks 50,000 files of 2 KiB in 1,000 directories.
func BenchmarkSmallFiles(b *testing.B) {
	archive := filepath.Join(b.TempDir(), "small.tar")
	writeBenchTar(b, archive, 1000, 50, 2<<10)
	benchmarkApply(b, archive)
}

// BenchmarkLargeFiles unpacks 8 files of 32 MiB.
func BenchmarkLargeFiles(b *testing.B) {
	archive := filepath.Join(b.TempDir(), "large.tar")
	writeBenchTar(b, archive, 1, 8, 32<<20)
	benchmarkApply(b, archive)
}

func benchmarkApply(b *testing.B, archive string) {
	st, err := os.Stat(archive)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(st.Size())
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		dir, err := os.MkdirTemp(b.TempDir(), "")
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		benchApply(b, archive, dir)
		b.StopTimer()
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func benchApply(b *testing.B, archive, dir string) {
	f, err := os.Open(archive)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	root, err := inroot.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	o := unpack.Options{SingleID: os.Getuid() != 0}
	if err := unpack.Apply(b.Context(), root, layer.ReadTar(bufio.NewReaderSize(f, 1<<20)), o); err != nil {
		b.Fatal(err)
	}
}

func writeBenchTar(b *testing.B, path string, dirs, files, size int) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriter(f)
	w := tar.NewWriter(buffered)
	content := make([]byte, size)
	for d := range dirs {
		name := fmt.Sprintf("usr/lib/package-%04d/", d)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: when}); err != nil {
			b.Fatal(err)
		}
		for i := range files {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%sfile-%d", name, i), Mode: 0o644, Size: int64(size), ModTime: when}
			if err := w.WriteHeader(h); err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, end := range []func() error{w.Close, buffered.Flush, f.Close} {
		if err := end(); err != nil {
			b.Fatal(err)
		}
	}
}
