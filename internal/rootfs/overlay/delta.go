package overlay

import (
	"context"
	"io"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// delta implements [layer.Delta] over what was an upper directory.
type delta struct {
	engine  *Engine
	dir     *layerDir
	entries []layer.Entry
}

// Entries implements [layer.Delta].
func (d *delta) Entries() []layer.Entry { return d.entries }

// Open implements [layer.Delta].
func (d *delta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	e := &d.entries[i]
	return scan.Content(filepath.Join(d.dir.diff(), e.Path), e.Size)
}

// Stable implements [layer.Delta].
func (d *delta) Stable() bool { return true }

// Release implements [layer.Delta]: the directory is kept for later builds.
func (d *delta) Release(diffID digest.Digest) error {
	if diffID == "" {
		return nil
	}
	return d.engine.keep(d.dir, diffID)
}
