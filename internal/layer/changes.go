package layer

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// deltaChanges reads a Delta's entries in application order.
func deltaChanges(ctx context.Context, d Delta) iter.Seq2[Change, error] {
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
	defer func() { err = errors.Join(err, r.Close()) }()
	return yield(Change{Entry: e, Reader: r}, nil), nil
}

// blobChanges reads the layer's blob: decompressed, verified against the diff
// ID, entry by entry.
func (l *Layer) blobChanges(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		yield(Change{}, errors.New("read blob: not written yet"))
	}
}
