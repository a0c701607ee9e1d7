package store

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
)

// LoadIndex returns the index of the layer diffID; the error is fs.ErrNotExist
// if it is not known, or was written by a kiln that did it in another way.
func (s *Store) LoadIndex(_ context.Context, diffID digest.Digest) (layer.Index, error) {
	path, err := s.indexPath(diffID)
	if err != nil {
		return nil, err
	}
	data, err := readSealed(path)
	if err != nil {
		return nil, fmt.Errorf("read index of layer %s: %w", diffID, err)
	}
	index, err := layer.DecodeIndex(data)
	if err != nil {
		return nil, fmt.Errorf("read index of layer %s: %w: %w", diffID, fs.ErrNotExist, err)
	}
	return index, nil
}

// SaveIndex keeps the index of the layer diffID.
func (s *Store) SaveIndex(_ context.Context, diffID digest.Digest, index layer.Index) error {
	path, err := s.indexPath(diffID)
	if err != nil {
		return err
	}
	if err := s.writeSealed(path, index.Encode()); err != nil {
		return fmt.Errorf("write index of layer %s: %w", diffID, err)
	}
	return nil
}

func (s *Store) indexPath(diffID digest.Digest) (string, error) {
	if err := diffID.Validate(); err != nil {
		return "", fmt.Errorf("diff ID %q: %w", diffID, err)
	}
	return filepath.Join(s.dir, indexesFolder, diffID.Algorithm().String()+"."+diffID.Encoded()), nil
}
