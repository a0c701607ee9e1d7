package blob

import (
	_ "crypto/sha256" // digest algorithms are looked up by name
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// ErrMismatch is the cause of errors that say that bytes are not those of the
// digest or size they were asked for by.
var ErrMismatch = errors.New("content does not match")

// reader passes on what it reads and checks it at the end.
type reader struct {
	in   io.ReadCloser
	want digest.Digest
	size int64 // -1 if it is not known
	hash hash.Hash
	read int64
	err  error // what every later Read returns
}

// NewReader returns a reader of in that returns an error wrapping
// [ErrMismatch] in place of io.EOF if in does not hold exactly size bytes of
// the digest want. A size of -1 is not checked. No more than size bytes are
// ever passed on. Close closes in.
func NewReader(in io.ReadCloser, want digest.Digest, size int64) (io.ReadCloser, error) {
	if err := want.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", want, err)
	}
	return &reader{in: in, want: want, size: size, hash: want.Algorithm().Hash()}, nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.in.Read(p)
	if r.size >= 0 && r.read+int64(n) > r.size {
		r.err = fmt.Errorf("%s is longer than its %d bytes: %w", r.want, r.size, ErrMismatch)
		return int(r.size - r.read), r.err
	}
	r.hash.Write(p[:n])
	r.read += int64(n)
	if errors.Is(err, io.EOF) {
		err = r.end()
	}
	r.err = err
	return n, err
}

func (r *reader) end() error {
	if r.size >= 0 && r.read != r.size {
		return fmt.Errorf("%s ends after %d of its %d bytes: %w", r.want, r.read, r.size, ErrMismatch)
	}
	if got := digest.NewDigest(r.want.Algorithm(), r.hash); got != r.want {
		return fmt.Errorf("%s has the digest %s: %w", r.want, got, ErrMismatch)
	}
	return io.EOF
}

func (r *reader) Close() error { return r.in.Close() }
