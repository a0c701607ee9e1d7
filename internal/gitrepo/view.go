package gitrepo

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// View shows the files of a commit: a tree of one layer that was never written.
type View struct{ *tree.Tree }

// source is where a file's content is: a blob, or a file on disk.
type source struct {
	storage *filesystem.Storage
	hash    plumbing.Hash
	file    string
}

func newView(ctx context.Context, entries []layer.Entry, sources map[string]source) (*View, error) {
	l := layer.Remote(ocispec.Descriptor{}, "", nil, index(entries))
	t, err := tree.Load(ctx, []*layer.Layer{l}, &contents{sources: sources})
	if err != nil {
		return nil, err
	}
	return &View{t}, nil
}

// index is the index of the only layer there is.
type index layer.Index

func (x index) LoadIndex(context.Context, digest.Digest) (layer.Index, error) {
	return layer.Index(x), nil
}

func (index) SaveIndex(context.Context, digest.Digest, layer.Index) error { return nil }

// contents reads blobs.
type contents struct {
	mu      sync.Mutex // storages do not like company
	sources map[string]source
}

// Expect implements tree.Contents: everything is at hand.
func (*contents) Expect(*layer.Layer, []string) {}

// Open implements tree.Contents.
func (c *contents) Open(_ context.Context, _ *layer.Layer, path string) (io.ReadCloser, error) {
	from, ok := c.sources[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if from.file != "" {
		return os.Open(from.file)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	blob, err := object.GetBlob(from.storage, from.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return blob.Reader()
}
