package unpack

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

// marker takes in a Whiteout or Opaque marker.
func (u *unpacker) marker(e layer.Entry) error {
	if u.options.Whiteouts != Remove {
		if u.markers[e.Path] != layer.Whiteout { // which says more
			u.markers[e.Path] = e.Type
		}
		return nil
	}
	if e.Type == layer.Opaque {
		return u.removeBelow(e.Path)
	}
	isDir, ours := u.seen[e.Path]
	switch {
	case isDir:
		return u.removeBelow(e.Path)
	case ours:
		return nil // what was there is gone already
	}
	return u.remove(e.Path)
}

// remove removes what layers below have at path.
func (u *unpacker) remove(path string) error {
	parent := layer.Parent(path)
	dir, err := u.lowerDir(parent)
	if dir == nil || err != nil {
		return err
	}
	if err = u.remember(dir, parent); err == nil {
		err = removeLower(dir, layer.Base(path))
	}
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

// removeBelow removes what layers below have put into the directory path.
func (u *unpacker) removeBelow(path string) error {
	dir, err := u.lowerDir(path)
	if dir == nil || err != nil {
		return err
	}
	if err = u.remember(dir, path); err == nil && !u.dirs[path].fresh {
		err = u.removeContent(dir, path)
	}
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

// lowerDir opens the directory path for removing something from it. It is nil
// if layers below have no such directory, or not any more.
func (u *unpacker) lowerDir(path string) (*inroot.Dir, error) {
	dir, err := u.root.Dir(path)
	if isMissing(err) {
		return nil, nil
	}
	return dir, err
}

func (u *unpacker) removeContent(dir *inroot.Dir, path string) error {
	list, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range list {
		child := e.Name()
		if path != "." {
			child = path + "/" + child
		}
		isDir, ours := u.seen[child]
		switch {
		case !ours:
			err = removeLower(dir, e.Name())
		case isDir:
			err = u.removeBelow(child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeLower removes what layers below have put at name. What is mounted
// there is not theirs, and stays.
func removeLower(dir *inroot.Dir, name string) error {
	if err := dir.RemoveAll(name); !errors.Is(err, unix.EBUSY) {
		return err
	}
	return nil
}

// finishMarkers leaves the markers of overlayfs. Only now it is known which
// are needed: a second one below the first would show as what it is made of.
func (u *unpacker) finishMarkers() error {
	for _, path := range slices.SortedFunc(maps.Keys(u.markers), layer.Compare) {
		if !u.isNeeded(path) {
			continue
		}
		if err := u.finishMarker(path, u.markers[path]); err != nil {
			return fmt.Errorf("unpack whiteout of %s: %w", path, err)
		}
	}
	return nil
}

// isNeeded reports whether there can be something of layers below at path: not
// if the changes hide a directory that it is in.
func (u *unpacker) isNeeded(path string) bool {
	if isDir, ours := u.seen[path]; ours && !isDir {
		return false
	}
	for dir := layer.Parent(path); dir != "."; dir = layer.Parent(dir) {
		isDir, ours := u.seen[dir]
		if ours && !isDir || u.markers[dir] != 0 {
			return false
		}
	}
	return true
}

func (u *unpacker) finishMarker(path string, marker layer.Type) error {
	if marker == layer.Opaque || u.seen[path] {
		dir, err := u.enter(path)
		if err != nil {
			return err
		}
		return u.setOpaque(dir.Dir)
	}
	dir, err := u.enter(layer.Parent(path))
	if err != nil {
		return err
	}
	return dir.Mknod(layer.Base(path), unix.S_IFCHR, unix.Mkdev(0, 0))
}

// setOpaque marks a directory as one that hides what layers below have in it.
func (u *unpacker) setOpaque(dir *inroot.Dir) error {
	attr := "trusted.overlay.opaque"
	if u.options.Whiteouts == OverlayUserXattr {
		attr = "user.overlay.opaque"
	}
	return dir.Lsetxattr(".", attr, "y")
}
