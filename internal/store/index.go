package store

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
)

// LoadIndex returns the index of the layer diffID; the error is fs.ErrNotExist
// if it is not known.
func (s *Store) LoadIndex(_ context.Context, diffID digest.Digest) (layer.Index, error) {
	return nil, fmt.Errorf("index of layer %s: %w", diffID, fs.ErrNotExist)
}

// SaveIndex keeps the index of the layer diffID. It waits for the codec of
// layer.Index; until then nothing is kept.
func (s *Store) SaveIndex(context.Context, digest.Digest, layer.Index) error { return nil }
