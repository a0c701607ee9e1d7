package layer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/opencontainers/go-digest"
)

// DeltaChanges iterates over the entries of d with their content, in the order
// in which they have to be applied.
func DeltaChanges(ctx context.Context, d Delta) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for i, e := range d.Entries() {
			if ctx.Err() != nil {
				yield(Change{}, context.Cause(ctx))
				return
			}
			more, err := yieldEntry(ctx, d, i, e, yield)
			if err != nil {
				yield(Change{}, fmt.Errorf("read %s: %w", e.Path, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

func yieldEntry(ctx context.Context, d Delta, i int, e Entry, yield func(Change, error) bool) (more bool, err error) {
	if e.Type != Regular {
		return yield(Change{Entry: e}, nil), nil
	}
	r, err := d.Open(ctx, i)
	if err != nil {
		return false, err
	}
	more = yield(Change{Entry: e, Reader: r}, nil)
	if err := r.Close(); more && err != nil {
		return false, err
	}
	return more, nil
}

// blobChanges reads the layer's blob, entry by entry, as readBlob does. Read to
// the end it yields the layer's index too, so that nobody has to read the blob
// again for that.
func (l *Layer) blobChanges(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		changes := l.readBlob(ctx)
		if l.wantsIndex() {
			changes = indexed(changes, func(x Index) error { return l.keepIndex(ctx, x) })
		}
		changes(yield)
	}
}

// readBlob reads the layer's blob: decompressed and, at the end, verified
// against the diff ID. That the compressed bytes are right, its Source verifies.
func (l *Layer) readBlob(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		more := true
		err := l.withBlob(ctx, func(r io.Reader) error {
			for c, err := range ReadTar(r) {
				if err != nil {
					return err
				}
				if more = yield(c, nil); !more {
					return errStop
				}
			}
			return nil
		})
		if more && err != nil {
			yield(Change{}, fmt.Errorf("read layer %s: %w", l.diffID, err))
		}
	}
}

// errStop ends reading because nobody wants more; it is never returned.
var errStop = errors.New("stop")

// withBlob calls read with the uncompressed bytes of the layer's blob, reads
// what it leaves, and verifies all of it.
func (l *Layer) withBlob(ctx context.Context, read func(io.Reader) error) (err error) {
	src, err := l.Blob(ctx)
	if err != nil {
		return err
	}
	blob, err := src.Open(ctx)
	if err != nil {
		return fmt.Errorf("open blob: %w", err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	plain, _, err := Decompress(contextReader{ctx, blob})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()

	sum := sha256.New()
	all := io.TeeReader(plain, sum)
	if err := read(all); err != nil {
		return err
	}
	// What follows the tar's end mark belongs to the diff ID too.
	if _, err := io.Copy(io.Discard, all); err != nil {
		return err
	}
	if got := digest.NewDigest(digest.SHA256, sum); got != l.diffID {
		return fmt.Errorf("content has the digest %s", got)
	}
	return nil
}
