package layer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/opencontainers/go-digest"
)

// benchDelta is a delta whose files are parts of the same bytes.
type benchDelta struct {
	delta
	data []byte
}

func (d *benchDelta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	at := i * 4093 % (len(d.data) - int(d.entries[i].Size) + 1)
	return io.NopCloser(bytes.NewReader(d.data[at : at+int(d.entries[i].Size)])), nil
}

func newBenchDelta(dirs, files int, size int64) *benchDelta {
	// Half of it compresses, in stretches as in programs and their data.
	data := noise(max(int(size), 8<<20))
	for i := range data {
		if i/(16<<10)%2 == 0 {
			data[i] = "the quick brown fox jumps over the lazy dog\n"[i%44]
		}
	}
	d := &benchDelta{data: data}
	for i := range dirs {
		dir := fmt.Sprintf("usr/lib/package-%04d", i)
		d.add(layer.Entry{Path: dir, Type: layer.Dir, Mode: 0o755, ModTime: when})
		for j := range files {
			d.add(layer.Entry{Path: fmt.Sprintf("%s/file-%d", dir, j), Type: layer.Regular, Mode: 0o644, Size: size, ModTime: when})
		}
	}
	return d
}

func benchmarkWrite(b *testing.B, d *benchDelta, o layer.Options) {
	var total int64
	for _, e := range d.entries {
		total += e.Size
	}
	b.SetBytes(total)
	b.ReportAllocs()
	peak := watchHeap()
	w := layer.NewWriter(discard{}, o)
	for b.Loop() {
		if _, err := w.Write(b.Context(), d).Descriptor(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(peak())/(1<<20), "heap-MiB")
}

// watchHeap samples how large the heap gets beyond what it is now.
func watchHeap() func() uint64 {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	first := heap()
	peak := first
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	})
	return func() uint64 {
		close(stop)
		done.Wait()
		return peak - first
	}
}

// BenchmarkWriteSmall writes 50,000 files of 2 KiB.
func BenchmarkWriteSmall(b *testing.B) {
	d := newBenchDelta(1000, 50, 2<<10)
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		b.Run(c.String(), func(b *testing.B) { benchmarkWrite(b, d, layer.Options{Compression: c}) })
	}
}

// BenchmarkWriteLarge writes 8 files of 32 MiB.
func BenchmarkWriteLarge(b *testing.B) {
	d := newBenchDelta(1, 8, 32<<20)
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		b.Run(c.String(), func(b *testing.B) { benchmarkWrite(b, d, layer.Options{Compression: c}) })
	}
}

// BenchmarkReadTar reads the entries of a layer of 50,000 files, as making its
// index does.
func BenchmarkReadTar(b *testing.B) {
	l := layer.NewWriter(blobDir(b.TempDir()), layer.Options{}).Write(b.Context(), newBenchDelta(1000, 50, 2<<10))
	src, err := l.Blob(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	desc, err := l.Descriptor(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	id, err := l.DiffID(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1000 * 50 * 2 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := layer.Remote(desc, id, src, nil).Index(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// discard throws blobs away.
type discard struct{}

func (discard) Create(context.Context) (layer.BlobFile, error) { return discardFile{io.Discard}, nil }

type discardFile struct{ io.Writer }

func (discardFile) Commit(digest.Digest) (layer.Source, error) { return bytesSource(nil), nil }
func (discardFile) Close() error                               { return nil }
