package overlay

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// fit merges the lowest directories of a stack that has more than the kernel
// takes, and a good deal more than that, so that it is not soon needed again.
func (e *Engine) fit(s *stack) error {
	if len(s.dirs) <= e.maxLower {
		return nil
	}
	n := len(s.dirs) - e.maxLower/2
	merged, err := e.merge(s.dirs[:n])
	if err != nil {
		return fmt.Errorf("merge the lowest %d of %d layers: %w", n, len(s.dirs), err)
	}
	s.dirs = append([]*layerDir{merged}, s.dirs[n:]...)
	return nil
}

// merge makes one directory that shows what dirs, the lowest first, show
// together. Files are hard links to theirs: nothing is copied.
func (e *Engine) merge(dirs []*layerDir) (*layerDir, error) {
	into, err := e.emptyLayerDir()
	if err != nil {
		return nil, err
	}
	m := &merger{into: into.diff(), userXattr: e.options.UserXattr, implied: map[string]bool{".": true}}
	for _, d := range dirs {
		m.from = d
		if err := m.mergeDir("."); err != nil {
			return nil, err
		}
	}
	if err := m.setAllTimes(); err != nil {
		return nil, err
	}
	into.implied = slices.SortedFunc(maps.Keys(m.implied), layer.Compare)
	return into, nil
}

type merger struct {
	into      string
	userXattr bool
	// from is the layer that is merged now.
	from *layerDir
	// implied are the directories that no layer has named so far.
	implied map[string]bool
	// times are those of the directories, set when nothing changes them any more.
	times map[string]unix.Stat_t
}

// mergeDir merges the directory rel of m.from into that of m.into, which
// exists.
func (m *merger) mergeDir(rel string) error {
	source, target := filepath.Join(m.from.diff(), rel), filepath.Join(m.into, rel)
	if !m.from.isImplied(rel) {
		delete(m.implied, rel)
	}
	if m.implied[rel] || !m.from.isImplied(rel) {
		if err := copyAttributes(source, target); err != nil {
			return err
		}
		st, err := scan.Lstat(source)
		if err != nil {
			return err
		}
		if m.times == nil {
			m.times = make(map[string]unix.Stat_t)
		}
		m.times[target] = st
	}
	names, err := scan.Names(source)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := m.merge(filepath.Join(rel, name)); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) merge(rel string) error {
	source, target := filepath.Join(m.from.diff(), rel), filepath.Join(m.into, rel)
	st, err := scan.Lstat(source)
	if err != nil {
		return err
	}
	gone, err := isWhiteout(source, &st, m.userXattr)
	if err != nil {
		return err
	}
	if gone {
		return m.remove(rel)
	}
	if !isDir(&st) {
		if err := m.remove(rel); err != nil {
			return err
		}
		return os.Link(source, target)
	}
	opaque, err := isOpaque(source, m.userXattr)
	if err != nil {
		return err
	}
	old, err := scan.Lstat(target)
	isNew := errors.Is(err, unix.ENOENT)
	if err != nil && !isNew {
		return err
	}
	if !isNew && (opaque || !isDir(&old)) {
		if err := m.remove(rel); err != nil {
			return err
		}
		isNew = true
	}
	if isNew {
		if err := os.Mkdir(target, 0o700); err != nil {
			return err
		}
		m.implied[rel] = true
	}
	return m.mergeDir(rel)
}

// remove removes rel and what was noted of it.
func (m *merger) remove(rel string) error {
	target := filepath.Join(m.into, rel)
	below := func(path, dir string) bool {
		return path == dir || len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/'
	}
	if st, err := scan.Lstat(target); err == nil && isDir(&st) {
		maps.DeleteFunc(m.implied, func(path string, _ bool) bool { return below(path, rel) })
		maps.DeleteFunc(m.times, func(path string, _ unix.Stat_t) bool { return below(path, target) })
	}
	return os.RemoveAll(target)
}

func (m *merger) setAllTimes() error {
	for path, st := range m.times {
		if err := scan.SetTimes(path, &st); err != nil {
			return err
		}
	}
	return nil
}
