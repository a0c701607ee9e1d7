package layer

import (
	"context"
	"crypto/sha256"
	"io"
	"iter"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Change is one entry of a layer together with its content.
type Change struct {
	Entry
	// Reader yields the content of a regular file, Size bytes; nil for every
	// other type. It is valid until the next step of the iteration.
	Reader io.Reader
}

// Source is where the bytes of a finished layer can be had: a registry, the
// blob store, a directory of an OCI layout. Implementations live with those
// who know the place; wrappers add caching and retries.
type Source interface {
	// Open returns the compressed bytes of the layer's blob. The reader
	// verifies size and digest: reading it to the end returns an error instead
	// of io.EOF if the bytes are not those of the descriptor.
	Open(ctx context.Context) (io.ReadCloser, error)
}

// Layer is one layer of an image. What it is, is decided when it is made; what
// is known of it comes in as it is found out: a layer that is still being
// compressed has entries but no descriptor yet, and a layer of a base image has
// a descriptor but its entries only once somebody asked for them.
//
// Two layers are the same layer if the pointers are equal. A Layer is safe for
// concurrent use.
type Layer struct {
	// delta is what the layer is being written from, nil for one that was not
	// made in this build. It is let go of when the layer is written and its
	// index kept: a hundred thousand entries are too much to hold for nothing.
	delta   atomic.Pointer[Delta]
	indexes Indexes // nil if none are kept

	done     chan struct{} // closed when the fields of this block are final
	desc     ocispec.Descriptor
	diffID   digest.Digest
	src      Source
	contents [][sha256.Size]byte // see written
	err      error

	indexing chan struct{} // holds one token, taken to use the fields below
	index    Index
	hasIndex bool
}

// Remote returns a finished layer whose bytes src serves; desc describes the
// compressed blob. Its index is looked up in indexes on first use, or made by
// reading the blob once, and kept there. With indexes nil nothing is kept.
func Remote(desc ocispec.Descriptor, diffID digest.Digest, src Source, indexes Indexes) *Layer {
	l := newLayer(nil, indexes)
	l.desc, l.diffID, l.src = desc, diffID, src
	close(l.done)
	return l
}

func newLayer(d Delta, indexes Indexes) *Layer {
	l := &Layer{indexes: indexes, done: make(chan struct{}), indexing: make(chan struct{}, 1)}
	if d != nil {
		l.delta.Store(&d)
	}
	return l
}

// Descriptor returns media type, digest and size of the compressed blob. It
// waits until they are known.
func (l *Layer) Descriptor(ctx context.Context) (ocispec.Descriptor, error) {
	if err := l.wait(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	return l.desc, nil
}

// DiffID returns the digest of the uncompressed tar. It waits until it is known.
func (l *Layer) DiffID(ctx context.Context) (digest.Digest, error) {
	if err := l.wait(ctx); err != nil {
		return "", err
	}
	return l.diffID, nil
}

// Blob returns where the compressed bytes can be had. It waits until they are
// complete.
func (l *Layer) Blob(ctx context.Context) (Source, error) {
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	return l.src, nil
}

// Delta returns what the layer is being written from, nil for a layer that was
// not made in this build or that is written and indexed. An engine recognises
// its own deltas here and uses the files behind them; those of a written layer
// it finds by its diff ID.
func (l *Layer) Delta() Delta {
	if d := l.delta.Load(); d != nil {
		return *d
	}
	return nil
}

// Changes iterates over the layer's entries with their content, in the order in
// which they have to be applied. It reads from the Delta while that is stable,
// else from the blob.
func (l *Layer) Changes(ctx context.Context) iter.Seq2[Change, error] {
	if d := l.Delta(); d != nil && d.Stable() {
		return DeltaChanges(ctx, d)
	}
	return l.blobChanges(ctx)
}

func (l *Layer) wait(ctx context.Context) error {
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
