package dir

import (
	"context"
	"io"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// delta implements [layer.Delta] over the directory of a root filesystem.
type delta struct {
	root     string
	entries  []layer.Entry
	known    *known
	released chan struct{}
}

func newDelta(root string, entries []layer.Entry, k *known) *delta {
	return &delta{root: root, entries: entries, known: k, released: make(chan struct{})}
}

// Entries implements [layer.Delta].
func (d *delta) Entries() []layer.Entry { return d.entries }

// Open implements [layer.Delta].
func (d *delta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	e := &d.entries[i]
	return scan.Content(filepath.Join(d.root, e.Path), e.Size)
}

// Stable implements [layer.Delta].
func (d *delta) Stable() bool { return false }

// Release implements [layer.Delta].
func (d *delta) Release(diffID digest.Digest) error {
	// Whoever waits for released sees what is known of the layer.
	d.known.addWritten(d.entries, diffID)
	close(d.released)
	return nil
}

// wait waits for Release. There is nothing to wait for if d is nil.
func (d *delta) wait(ctx context.Context) error {
	if d == nil {
		return nil
	}
	select {
	case <-d.released:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
