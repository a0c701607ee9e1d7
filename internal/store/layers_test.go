package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// unpack makes a layer directory with one file in it.
func unpack(t *testing.T, s *Store, file string) string {
	t.Helper()
	dir, err := s.NewLayerDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLayerDirIsSeenOnceItIsKept(t *testing.T) {
	dir := t.TempDir()
	s, other := openStore(t, dir), openStore(t, dir)
	id := digest.FromString("layer")
	tree := unpack(t, s, "f")
	if got, ok := other.LayerDir(id); ok {
		t.Fatalf("layer is seen in %s before it is kept", got)
	}
	if kept, err := s.KeepLayerDir(tree, id); err != nil || kept != tree {
		t.Fatalf("KeepLayerDir = %s, %v; want the directory itself", kept, err)
	}
	if got, ok := other.LayerDir(id); !ok || got != tree {
		t.Errorf("LayerDir = %s, %v; want %s", got, ok, tree)
	}
}

func TestFirstKeptLayerDirWins(t *testing.T) {
	dir := t.TempDir()
	s, other := openStore(t, dir), openStore(t, dir)
	id := digest.FromString("layer")
	first, second := unpack(t, s, "f"), unpack(t, other, "f")
	if _, err := s.KeepLayerDir(first, id); err != nil {
		t.Fatal(err)
	}
	if kept, err := other.KeepLayerDir(second, id); err != nil || kept != first {
		t.Errorf("KeepLayerDir = %s, %v; want the one that was there, %s", kept, err, first)
	}
	if _, err := os.Stat(filepath.Join(second, "f")); err != nil {
		t.Errorf("the directory that lost is gone while it may be in use: %v", err)
	}
}

func TestCloseRemovesLayerDirsThatWereNotKept(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, lost := unpack(t, s, "f"), unpack(t, s, "f")
	if _, err := s.KeepLayerDir(kept, digest.FromString("layer")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("kept layer is gone: %v", err)
	}
	if _, err := os.Stat(lost); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("layer that was not kept is still there: %v", err)
	}
}

func TestLayersOfAnEarlierBootAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, layersFolder, "0123456789abcdef-"+idsName())
	used := filepath.Join(dir, layersFolder, "fedcba9876543210-"+idsName())
	for _, d := range []string{old, used} {
		if err := os.MkdirAll(filepath.Join(d, "t-x-1", "usr"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Another machine that shares the folder has a boot of its own.
	elsewhere, err := lockFolder(used, unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.unlock()

	s := openStore(t, dir)
	<-s.cleaned
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unpacked layers of an earlier boot are still there: %v", err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("unpacked layers in use are gone: %v", err)
	}
}

func TestLayersOfOtherIDsAreNeitherUsedNorRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	id := digest.FromString("layer")
	tree := unpack(t, s, "f")
	if _, err := s.KeepLayerDir(tree, id); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, layersFolder, bootName()+"-0123456789abcdef")
	if err := os.CopyFS(other, os.DirFS(s.generation.path)); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir)
	<-again.cleaned
	if got, ok := again.LayerDir(id); !ok || got != tree {
		t.Errorf("LayerDir = %s, %v; want that of the own ids, %s", got, ok, tree)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("layers of other ids are gone: %v", err)
	}
}
