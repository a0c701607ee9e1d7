package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// A generation's folder holds unpacked layers under names that say which
// session made them, and beside them symbolic links that name them by diff ID.
// A directory is never renamed, since it may be part of a mounted overlay: it
// is the link that makes it a layer others can use.

// treePrefix begins the names of directories that session made.
func treePrefix(session string) string { return "t-" + session + "-" }

// NewLayerDir makes an empty directory to unpack a layer into. It is removed
// when the store is closed, unless it was kept with [Store.KeepLayerDir].
func (s *Store) NewLayerDir() (dir string, err error) {
	dir, err = os.MkdirTemp(s.generation.path, treePrefix(filepath.Base(s.session.path)))
	if err != nil {
		return "", fmt.Errorf("make directory for a layer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees[dir] = true
	return dir, nil
}

// KeepLayerDir makes dir, which came from [Store.NewLayerDir] and is complete,
// the directory of the layer diffID for this build and others. If the layer has
// one already that stays, and dir is still the caller's own until Close. It
// returns the layer's directory.
func (s *Store) KeepLayerDir(dir string, diffID digest.Digest) (string, error) {
	link, err := s.layerLink(diffID)
	if err != nil {
		return "", err
	}
	err = os.Symlink(filepath.Base(dir), link)
	if errors.Is(err, fs.ErrExist) {
		if kept, ok := s.LayerDir(diffID); ok {
			return kept, nil
		}
		return "", fmt.Errorf("keep unpacked layer %s: %s leads nowhere; remove it", diffID, link)
	}
	if err != nil {
		return "", fmt.Errorf("keep unpacked layer %s: %w", diffID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.trees, dir)
	return dir, nil
}

// LayerDir returns the directory that the layer is unpacked in, if there is
// one. It may be in use by other builds: nobody changes it. A layer that was
// unpacked under another mapping of user ids, or before the machine was
// started, is not found.
func (s *Store) LayerDir(diffID digest.Digest) (dir string, ok bool) {
	link, err := s.layerLink(diffID)
	if err != nil {
		return "", false
	}
	name, err := os.Readlink(link)
	if err != nil {
		return "", false
	}
	dir = filepath.Join(s.generation.path, filepath.Base(name))
	if _, err := os.Lstat(dir); err != nil {
		return "", false
	}
	return dir, true
}

func (s *Store) layerLink(diffID digest.Digest) (string, error) {
	if err := diffID.Validate(); err != nil {
		return "", fmt.Errorf("diff ID %q: %w", diffID, err)
	}
	return filepath.Join(s.generation.path, diffID.Algorithm().String()+"."+diffID.Encoded()), nil
}

// keptTrees returns the names of the directories of a generation that are
// layers.
func keptTrees(generation string) map[string]bool {
	kept := make(map[string]bool)
	for _, name := range names(generation) {
		if target, err := os.Readlink(filepath.Join(generation, name)); err == nil {
			kept[filepath.Base(target)] = true
		}
	}
	return kept
}
