package layer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blobs is where a Writer puts the layers it has written.
type Blobs interface {
	// Create opens a new blob, which nobody sees until it is committed.
	Create(ctx context.Context) (BlobFile, error)
}

// BlobFile is a blob that is being written.
type BlobFile interface {
	io.Writer
	// Commit makes the blob appear under its digest, all of it at once, and
	// returns where it can be read.
	Commit(d digest.Digest) (Source, error)
	// Close frees what the file holds. Without a Commit that succeeded, it
	// also removes what was written.
	Close() error
}

// Indexes keeps the indexes of layers by diff ID from one build to the next.
type Indexes interface {
	// LoadIndex returns the index of the layer, fs.ErrNotExist if it has none.
	LoadIndex(ctx context.Context, diffID digest.Digest) (Index, error)
	// SaveIndex keeps the index of the layer. It does not modify index.
	SaveIndex(ctx context.Context, diffID digest.Digest, index Index) error
}

// Options say how a Writer writes layers. The zero value means gzip at the
// default level with OCI media types.
type Options struct {
	// Compression is Gzip, Zstd or None.
	Compression Compression
	// Level is 1-9 for Gzip and 1-22 for Zstd; 0 is the default.
	Level int
	// Docker asks for Docker's media types instead of OCI's.
	Docker bool
	// Parallel is how many layers are written at the same time, 0 means 2. It
	// bounds memory: each needs about 2 MiB a core.
	Parallel int
	// Indexes, if not nil, gets the index of every layer written.
	Indexes Indexes
}

// Writer writes Deltas as layers in the background. It is safe for concurrent
// use.
type Writer struct {
	blobs   Blobs
	options Options
	slots   chan struct{} // one is taken while a layer is written
}

// NewWriter returns a Writer that puts blobs into blobs.
func NewWriter(blobs Blobs, options Options) *Writer {
	parallel := options.Parallel
	if parallel <= 0 {
		parallel = 2
	}
	return &Writer{blobs: blobs, options: options, slots: make(chan struct{}, parallel)}
}

// Write starts writing d and returns the layer at once; its methods wait for
// what they need, and return the error of the writing if that failed. Ending
// ctx ends the writing. Whether it succeeds or fails, d is released.
func (w *Writer) Write(ctx context.Context, d Delta) *Layer {
	l := newLayer(d, w.options.Indexes)
	go func() {
		defer close(l.done)
		l.err = w.fill(ctx, l, d)
		if err := d.Release(l.diffID); err != nil {
			l.err = errors.Join(l.err, fmt.Errorf("release written changes: %w", err))
		}
		if l.err == nil && w.options.Indexes != nil {
			l.delta.Store(nil)
			l.contents = nil
		}
	}()
	return l
}

// fill writes the layer and, if that succeeds, sets what is known of it then.
func (w *Writer) fill(ctx context.Context, l *Layer, d Delta) error {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	desc, src, tar, err := w.writeBlob(ctx, d)
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	if w.options.Indexes != nil {
		index := withContents(d.Entries(), tar.contents)
		if err := w.options.Indexes.SaveIndex(ctx, tar.diffID, index); err != nil {
			return fmt.Errorf("write layer: %w", err)
		}
	}
	l.desc, l.src, l.diffID, l.contents = desc, src, tar.diffID, tar.contents
	return nil
}

// writeBlob makes the one pass from entries to a blob. Nothing is left of it
// if it fails.
func (w *Writer) writeBlob(ctx context.Context, d Delta) (desc ocispec.Descriptor, src Source, t written, err error) {
	blob, err := w.blobs.Create(ctx)
	if err != nil {
		return desc, nil, t, fmt.Errorf("create blob: %w", err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()

	sum := newSummer(blob)
	z, err := newCompressor(sum, w.options.Compression, w.options.Level)
	if err != nil {
		return desc, nil, t, err
	}
	if t, err = writeTar(ctx, z, d); err != nil {
		z.Abort()
		return desc, nil, t, err
	}
	if err := z.Close(); err != nil {
		z.Abort()
		return desc, nil, t, fmt.Errorf("write blob: %w", err)
	}
	desc = ocispec.Descriptor{
		MediaType: MediaType(w.options.Compression, w.options.Docker),
		Digest:    sum.digest(),
		Size:      sum.size,
	}
	if src, err = blob.Commit(desc.Digest); err != nil {
		return desc, nil, t, fmt.Errorf("keep blob %s: %w", desc.Digest, err)
	}
	return desc, src, t, nil
}
