package layer

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// Sizes that decide the compressed bytes are constants: the digest of a layer
// must not depend on the machine that wrote it. How many blocks are worked on
// at once does not show in the bytes, so that follows the machine, up to a
// limit that bounds memory (about 2 MiB a block).
const (
	gzipBlock      = 256 << 10
	zstdWindow     = 1 << 20
	maxConcurrency = 8

	defaultGzipLevel = 6
	defaultZstdLevel = 3
)

// compressor is a writer that ends either with Close, when all is written, or
// with Abort, when the result is not wanted any more.
type compressor interface {
	io.WriteCloser
	Abort()
}

func newCompressor(w io.Writer, c Compression, level int) (compressor, error) {
	switch c {
	case Gzip:
		return newGzip(w, level)
	case Zstd:
		return newZstd(w, level)
	case None:
		return plain{w}, nil
	}
	return nil, fmt.Errorf("compress layer: %s is not for layers: use gzip, zstd or none", c)
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }
func (plain) Abort()       {}

type gzipWriter struct{ *pgzip.Writer }

func newGzip(w io.Writer, level int) (compressor, error) {
	if level == 0 {
		level = defaultGzipLevel
	}
	z, err := pgzip.NewWriterLevel(w, level)
	if err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	// The zero time would be written as a number of no meaning.
	z.ModTime = time.Unix(0, 0)
	if err := z.SetConcurrency(gzipBlock, concurrency(1)); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	return gzipWriter{z}, nil
}

// Abort ends the goroutines; Close would leave one behind after an error.
func (z gzipWriter) Abort() { z.Reset(io.Discard) }

type zstdWriter struct{ *zstd.Encoder }

func newZstd(w io.Writer, level int) (compressor, error) {
	if level == 0 {
		level = defaultZstdLevel
	}
	z, err := zstd.NewWriter(w,
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(concurrency(2)),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	return zstdWriter{z}, nil
}

// Abort ends the goroutines; what Close says of the output does not matter.
func (z zstdWriter) Abort() { _ = z.Close() }

// concurrency is how many blocks to compress at once.
func concurrency(atLeast int) int {
	return min(max(runtime.GOMAXPROCS(0), atLeast), maxConcurrency)
}
