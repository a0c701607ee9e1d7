package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// What decompressing may take. Both formats let a stream ask for gigabytes;
// these are what "zstd --ultra -22" and "xz -9" ask for.
const (
	maxZstdWindow = 128 << 20
	maxXZWindow   = 64 << 20
)

// Decompress returns the plain bytes of r and how they had been packed, which
// it recognises by the content; what it does not recognise is None and comes
// out as it is. Decompressing runs ahead of the caller. Closing the result
// frees what decompressing holds; it does not close r, which nobody reads any
// more from then on.
func Decompress(r io.Reader) (io.ReadCloser, Compression, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	c, err := recognise(in)
	if err != nil {
		return nil, c, fmt.Errorf("read: %w", err)
	}
	out, err := decompressor(in, c)
	if err != nil {
		return nil, c, fmt.Errorf("decompress %s: %w", c, err)
	}
	if c == None {
		return out, c, nil
	}
	return readAhead(named{out, c}), c, nil
}

// recognise looks at the first bytes.
func recognise(in *bufio.Reader) (Compression, error) {
	head, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return None, err
	}
	begins := func(magic ...byte) bool { return bytes.HasPrefix(head, magic) }
	switch {
	case begins(0x1f, 0x8b, 0x08):
		return Gzip, nil
	case begins(0x28, 0xb5, 0x2f, 0xfd):
		return Zstd, nil
	case begins('B', 'Z', 'h'):
		return Bzip2, nil
	case begins(0xfd, '7', 'z', 'X', 'Z', 0x00):
		return XZ, nil
	case len(head) > 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return Zstd, nil // it begins with a frame to be skipped
	}
	return None, nil
}

func decompressor(in io.Reader, c Compression) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewReader(in)
	case Zstd:
		z, err := zstd.NewReader(in,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case Bzip2:
		return io.NopCloser(bzip2.NewReader(in)), nil
	case XZ:
		z, err := xz.NewReader(in, maxXZWindow)
		return io.NopCloser(z), err
	}
	return io.NopCloser(in), nil
}

// named says in errors which decompressor they come from.
type named struct {
	io.ReadCloser
	as Compression
}

func (n named) Read(p []byte) (int, error) {
	k, err := n.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("decompress %s: %w", n.as, err)
	}
	return k, err
}

// Close frees what the decompressor holds. What it has to say is what Read has
// said already.
func (n named) Close() error {
	_ = n.ReadCloser.Close()
	return nil
}
