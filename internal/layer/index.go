package layer

import (
	"context"
	"errors"
	"io/fs"
	"slices"
)

// Index lists the entries of a layer, without content: all that resolving a
// path needs to know. It is sorted by [Compare]; of the entries of one path a
// Whiteout comes first, then an Opaque marker, then the entry itself, each at
// most once. A tar that names a path twice shows the later entry, as unpacking
// it would. An Index is shared: do not modify it.
type Index []Entry

// Find returns the entry at path, leaving aside a Whiteout or Opaque marker of
// that path. It takes time logarithmic in the size of the index.
func (x Index) Find(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(x, path, func(e Entry, path string) int {
		if c := Compare(e.Path, path); c != 0 {
			return c
		}
		if e.Type == Whiteout || e.Type == Opaque {
			return -1
		}
		return 0
	})
	if !ok {
		return Entry{}, false
	}
	return x[i], true
}

// rank orders the entries of one path.
func (t Type) rank() int {
	switch t {
	case Whiteout:
		return 0
	case Opaque:
		return 1
	}
	return 2
}

// Index returns the layer's entries. For a layer made in this build they are
// there at once, with the Content of regular files once the layer is written;
// for one of a base image they may have to be fetched first.
func (l *Layer) Index(ctx context.Context) (Index, error) {
	if d := l.Delta(); d != nil && !l.complete() {
		return d.Entries(), nil
	}
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	if err := l.lockIndex(ctx); err != nil {
		return nil, err
	}
	defer l.unlockIndex()
	if l.hasIndex {
		return l.index, nil
	}
	index, err := l.makeIndex(ctx)
	if err != nil {
		return nil, err
	}
	l.index, l.hasIndex = index, true
	return index, nil
}

// makeIndex finds the index in the cheapest way there is.
func (l *Layer) makeIndex(ctx context.Context) (Index, error) {
	if d := l.Delta(); d != nil {
		return withContents(d.Entries(), l.contents), nil
	}
	if l.indexes == nil {
		return BuildIndex(l.readBlob(ctx))
	}
	index, err := l.indexes.LoadIndex(ctx, l.diffID)
	if !errors.Is(err, fs.ErrNotExist) {
		return index, err
	}
	if index, err = BuildIndex(l.readBlob(ctx)); err != nil {
		return nil, err
	}
	return index, l.indexes.SaveIndex(ctx, l.diffID, index)
}

// keepIndex remembers the index that came out of reading the blob.
func (l *Layer) keepIndex(ctx context.Context, index Index) error {
	if err := l.lockIndex(ctx); err != nil {
		return err
	}
	defer l.unlockIndex()
	if l.hasIndex {
		return nil
	}
	l.index, l.hasIndex = index, true
	if l.indexes == nil {
		return nil
	}
	return l.indexes.SaveIndex(ctx, l.diffID, index)
}

// wantsIndex reports whether reading the blob would find out something new. If
// somebody is finding it out right now, it would not.
func (l *Layer) wantsIndex() bool {
	if l.Delta() != nil {
		return false
	}
	select {
	case l.indexing <- struct{}{}:
		defer l.unlockIndex()
		return !l.hasIndex
	default:
		return false
	}
}

// lockIndex is a lock that waits no longer than ctx: who holds it may be
// downloading the layer.
func (l *Layer) lockIndex(ctx context.Context) error {
	select {
	case l.indexing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Layer) unlockIndex() { <-l.indexing }

// complete reports whether the layer has been written.
func (l *Layer) complete() bool {
	select {
	case <-l.done:
		return l.err == nil
	default:
		return false
	}
}
