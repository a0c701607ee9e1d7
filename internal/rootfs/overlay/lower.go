package overlay

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// stack is the layers of a root filesystem, the lowest first.
type stack struct {
	dirs      []*layerDir
	userXattr bool
}

// view is one directory as overlayfs shows it: the parts it is merged from,
// the topmost first. A view without parts is no directory.
type view struct {
	parts     []part
	userXattr bool
}

// part is the directory rel of one layer.
type part struct {
	dir *layerDir
	rel string
}

func (p part) file() string { return filepath.Join(p.dir.diff(), p.rel) }

// found is what a view shows under a name.
type found struct {
	part
	st unix.Stat_t
}

func (s *stack) root() view {
	v := view{userXattr: s.userXattr, parts: make([]part, 0, len(s.dirs))}
	for i := len(s.dirs) - 1; i >= 0; i-- {
		v.parts = append(v.parts, part{dir: s.dirs[i], rel: "."})
	}
	return v
}

// lookup returns what v shows under name, nil if that is nothing, and, if it is
// a directory, the view of it.
func (v view) lookup(name string) (*found, view, error) { return v.find(name, false) }

// find is lookup. With throughOpaque the directories that an opaque one hides
// are parts as well: what it does not say of itself it has from them.
func (v view) find(name string, throughOpaque bool) (*found, view, error) {
	var top *found
	below := view{userXattr: v.userXattr}
	for _, p := range v.parts {
		at := part{dir: p.dir, rel: filepath.Join(p.rel, name)}
		st, err := scan.Lstat(at.file())
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, view{}, err
		}
		gone, err := isWhiteout(at.file(), &st, v.userXattr)
		if err != nil {
			return nil, view{}, err
		}
		if gone {
			break
		}
		if top == nil {
			top = &found{part: at, st: st}
		}
		if !isDir(&st) {
			break // if it is not the top, it is hidden by a directory
		}
		below.parts = append(below.parts, at)
		opaque, err := isOpaque(at.file(), v.userXattr)
		if err != nil {
			return nil, view{}, err
		}
		if opaque && !throughOpaque {
			break
		}
	}
	return top, below, nil
}

func isDir(st *unix.Stat_t) bool     { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }
func isSocket(st *unix.Stat_t) bool  { return st.Mode&unix.S_IFMT == unix.S_IFSOCK }

// The marks of overlayfs (Documentation/filesystems/overlayfs.rst).
func mark(name string, userXattr bool) string {
	if userXattr {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}

// isOpaque reports whether a directory hides what is below it.
func isOpaque(dir string, userXattr bool) (bool, error) {
	value, ok, err := scan.Xattr(dir, mark("opaque", userXattr))
	return ok && value == "y", err
}

// isWhiteout reports whether a file marks a deletion: a character device 0:0,
// or an empty regular file with a mark (Linux 6.7).
func isWhiteout(file string, st *unix.Stat_t, userXattr bool) (bool, error) {
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFCHR:
		return st.Rdev == 0, nil
	case isRegular(st) && st.Size == 0:
		_, ok, err := scan.Xattr(file, mark("whiteout", userXattr))
		return ok, err
	}
	return false, nil
}
