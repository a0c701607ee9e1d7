package dir

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// known implements [snapshot.Known] with the indexes of the layers: what a
// file held before is found there by its digest. Only a file that was touched
// without a visible change is ever looked up, such as one that was given the
// mode it has.
type known struct {
	store Store
	root  string
	// layers yield the indexes of what the root filesystem is made of, the
	// lowest first. They are not read before they are needed.
	layers []func(context.Context) (layer.Index, error)
}

func (k *known) add(index func(context.Context) (layer.Index, error)) {
	k.layers = append(k.layers, index)
}

// addWritten adds a layer that was written from entries.
func (k *known) addWritten(entries []layer.Entry, diffID digest.Digest) {
	k.add(func(ctx context.Context) (layer.Index, error) {
		if diffID == "" {
			return entries, nil
		}
		index, err := k.store.LoadIndex(ctx, diffID)
		if errors.Is(err, os.ErrNotExist) {
			return entries, nil
		}
		return index, err
	})
}

// Same implements [snapshot.Known].
func (k *known) Same(ctx context.Context, e layer.Entry) (bool, error) {
	was, found, err := k.find(ctx, e.Path)
	if err != nil || !found || was.Type != e.Type || !maps.Equal(was.Xattrs, e.Xattrs) {
		return false, err
	}
	switch e.Type {
	case layer.Regular:
		if was.Content == ([32]byte{}) && was.Size > 0 {
			return false, nil // not on record
		}
		return k.hasContent(e, was.Content)
	case layer.Symlink:
		return was.Linkname == e.Linkname, nil
	}
	return true, nil
}

// find returns the entry that the file at path came from; a hard link's is
// that of the file.
func (k *known) find(ctx context.Context, path string) (layer.Entry, bool, error) {
	for i := len(k.layers) - 1; i >= 0; i-- {
		index, err := k.layers[i](ctx)
		if err != nil {
			return layer.Entry{}, false, err
		}
		e, found := index.Find(path)
		if found && e.Type == layer.Link {
			e, found = index.Find(e.Linkname)
		}
		if found {
			return e, true, nil
		}
	}
	return layer.Entry{}, false, nil
}

func (k *known) hasContent(e layer.Entry, sum [32]byte) (_ bool, err error) {
	f, err := scan.Content(filepath.Join(k.root, e.Path), e.Size)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	got, err := digest.SHA256.FromReader(f)
	if err != nil {
		return false, err
	}
	return got == digest.NewDigestFromBytes(digest.SHA256, sum[:]), nil
}
