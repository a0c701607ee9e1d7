package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// clean removes what dead processes left behind. It is best effort: what
// cannot be removed now (it may have owners that this user namespace does not
// know) does no harm but to the disk's space, and is tried again by the next.
func (s *Store) clean(ctx context.Context) {
	s.cleanSessions(ctx)
	s.cleanGenerations(ctx)
}

// cleanSessions removes the temporary folders that nobody holds. Unpacked
// layers that the same process had begun go first, so that nobody forgets
// them if this process dies too.
func (s *Store) cleanSessions(ctx context.Context) {
	tmp := filepath.Join(s.dir, tmpFolder)
	for _, session := range names(tmp) {
		if ctx.Err() != nil {
			return
		}
		dead, err := takeFolder(filepath.Join(tmp, session))
		if err != nil {
			continue
		}
		if s.cleanTrees(ctx, session) {
			removeTree(ctx, dead.path)
		}
		_ = dead.unlock()
	}
}

// cleanTrees removes the unpacked layers that a dead session had not kept, of
// all generations, and reports whether it could.
func (s *Store) cleanTrees(ctx context.Context, session string) bool {
	all := true
	for _, generation := range names(filepath.Join(s.dir, layersFolder)) {
		dir := filepath.Join(s.dir, layersFolder, generation)
		kept := keptTrees(dir)
		for _, name := range names(dir) {
			if strings.HasPrefix(name, treePrefix(session)) && !kept[name] {
				all = removeTree(ctx, filepath.Join(dir, name)) && all
			}
		}
	}
	return all
}

// cleanGenerations removes the unpacked layers of earlier boots.
func (s *Store) cleanGenerations(ctx context.Context) {
	layers := filepath.Join(s.dir, layersFolder)
	for _, name := range names(layers) {
		if ctx.Err() != nil {
			return
		}
		if !isOldBoot(name) {
			continue
		}
		old, err := takeFolder(filepath.Join(layers, name))
		if err != nil {
			continue
		}
		removeTree(ctx, old.path)
		_ = old.unlock()
	}
}

// removeTree is os.RemoveAll that stops when ctx is cancelled: a layer may
// have so many files that a short build would wait for their removal. It
// reports whether all is gone.
func removeTree(ctx context.Context, path string) bool {
	for _, name := range names(path) {
		if ctx.Err() != nil {
			return false
		}
		inner := filepath.Join(path, name)
		if info, err := os.Lstat(inner); err == nil && info.IsDir() {
			removeTree(ctx, inner)
		}
		_ = os.Remove(inner)
	}
	return os.Remove(path) == nil
}

// names returns the names in a directory, none if it cannot be read.
func names(dir string) []string {
	entries, _ := os.ReadDir(dir)
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list
}
