package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// The folders of a store.
const (
	blobsFolder   = "blobs"
	indexesFolder = "indexes"
	recordsFolder = "records"
	layersFolder  = "layers"
	tmpFolder     = "tmp"
)

// Store is kiln's folder. It is safe for concurrent use.
type Store struct {
	dir        string
	session    *folder // this process's part of tmp
	generation *folder // the unpacked layers that this process may use

	stopCleaning context.CancelFunc
	cleaned      chan struct{} // closed when cleaning has ended

	mu    sync.Mutex
	trees map[string]bool // directories made by NewLayerDir and not kept
}

// Open opens the folder dir, and makes it if it is not there. What processes
// that have died left in it is removed in the background.
func Open(dir string) (*Store, error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open kiln's folder %s: %w", dir, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stopCleaning = cancel
	go func() {
		defer close(s.cleaned)
		s.clean(ctx)
	}()
	return s, nil
}

func open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// Images may hold secrets, and unpacked ones set-uid programs: nobody else
	// gets in.
	for _, name := range []string{filepath.Join(blobsFolder, "sha256"), indexesFolder, recordsFolder, layersFolder, tmpFolder} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	session, err := newFolder(filepath.Join(dir, tmpFolder))
	if err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", err)
	}
	generation, err := shareFolder(filepath.Join(dir, layersFolder, generationName()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make folder of unpacked layers: %w", err), session.remove())
	}
	return &Store{
		dir:        dir,
		session:    session,
		generation: generation,
		cleaned:    make(chan struct{}),
		trees:      make(map[string]bool),
	}, nil
}

// Dir returns the folder's absolute path.
func (s *Store) Dir() string { return s.dir }

// Scratch returns a new, empty directory on the store's file system. It is
// removed when the store is closed, if not before.
func (s *Store) Scratch() (dir string, err error) {
	return os.MkdirTemp(s.session.path, "scratch-")
}

// Close removes what is temporary: blobs that were not committed, scratch
// directories, unpacked layers that were not kept. Nothing of the store may be
// in use any more.
func (s *Store) Close() error {
	s.stopCleaning()
	<-s.cleaned
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for tree := range s.trees {
		errs = append(errs, os.RemoveAll(tree))
	}
	errs = append(errs, s.session.remove(), s.generation.unlock())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close kiln's folder %s: %w", s.dir, err)
	}
	return nil
}
