package unpack

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

// whiteout hides what layers below have at path.
func (u *unpacker) whiteout(path string) error {
	if isDir, ours := u.seen[path]; ours {
		if !isDir {
			return nil // it hides what is below already
		}
		return u.opaque(path)
	}
	if u.options.Whiteouts != Remove {
		return u.markHidden(path)
	}
	dir, err := u.root.Dir(layer.Parent(path))
	if err != nil {
		if isMissing(err) {
			return nil
		}
		return err
	}
	err = u.remember(dir, layer.Parent(path))
	if err == nil {
		err = removeLower(dir, layer.Base(path))
	}
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

// markHidden makes overlayfs's marker of a deleted path: the device 0:0.
func (u *unpacker) markHidden(path string) error {
	dir, err := u.enter(layer.Parent(path))
	if err != nil {
		return err
	}
	name := layer.Base(path)
	if err := u.makeWay(dir, name, path); err != nil {
		return err
	}
	u.hidden[path] = true
	return dir.Mknod(name, unix.S_IFCHR, unix.Mkdev(0, 0))
}

// opaque hides what layers below have in the directory path.
func (u *unpacker) opaque(path string) error {
	if u.options.Whiteouts != Remove {
		dir, err := u.enter(path)
		if err != nil {
			return err
		}
		return u.setOpaque(dir.Dir, ".")
	}
	dir, err := u.root.Dir(path)
	if err != nil {
		if isMissing(err) {
			return nil
		}
		return err
	}
	err = u.removeContent(dir, path)
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

// removeContent removes what layers below have put into a directory.
func (u *unpacker) removeContent(dir *inroot.Dir, path string) error {
	if err := u.remember(dir, path); err != nil {
		return err
	}
	if u.dirs[path].fresh {
		return nil
	}
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
			err = u.opaque(child)
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

// setOpaque marks a directory as one that hides what layers below have in it.
func (u *unpacker) setOpaque(dir *inroot.Dir, name string) error {
	attr := "trusted.overlay.opaque"
	if u.options.Whiteouts == OverlayUserXattr {
		attr = "user.overlay.opaque"
	}
	return dir.Lsetxattr(name, attr, "y")
}
