package unpack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

// dirFacts are what a directory gets when nothing is put into it any more: its
// times would not last before, and its mode might forbid it.
type dirFacts struct {
	fresh        bool // it was made by the changes: nothing else is in it
	keepMode     bool // its mode stays as it is
	mode         uint32
	atime, mtime unix.Timespec
}

// enter opens the directory path, and makes what is missing of it.
func (u *unpacker) enter(path string) (*openDir, error) {
	u.where.back(path)
	for u.where.last().path != path {
		at := u.where.last()
		begin := 0
		if at.path != "." {
			begin = len(at.path) + 1
		}
		name, _, _ := strings.Cut(path[begin:], "/")
		next, err := u.step(at, name, path[:begin+len(name)])
		if err != nil {
			return nil, err
		}
		u.where.push(next)
	}
	return u.where.last(), nil
}

// step opens the directory path, which is name in at. What is there from
// layers below and is no directory becomes one.
func (u *unpacker) step(at *openDir, name, path string) (*openDir, error) {
	isDir, ours := u.seen[path]
	if ours && !isDir {
		return nil, fmt.Errorf("%s is not a directory", path)
	}
	if ours || !at.fresh {
		d, err := at.Dir.Dir(name)
		if err == nil {
			return u.adopt(d, path)
		}
		if ours || !isMissing(err) {
			return nil, err
		}
	}
	if err := u.makeDir(at, name, path); err != nil {
		return nil, err
	}
	d, err := at.Dir.Dir(name)
	if err != nil {
		return nil, err
	}
	return &openDir{Dir: d, path: path, fresh: true}, nil
}

// isMissing reports whether err says that there is no such directory.
func isMissing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// adopt goes on with a directory that is there, from the changes or before.
func (u *unpacker) adopt(d *inroot.Dir, path string) (*openDir, error) {
	if err := u.remember(d, path); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	u.seen[path] = true
	return &openDir{Dir: d, path: path, fresh: u.dirs[path].fresh}, nil
}

// remember notes how a directory looks that something will be done to, unless
// that is known already.
func (u *unpacker) remember(d *inroot.Dir, path string) error {
	if _, known := u.dirs[path]; known {
		return nil
	}
	st, err := d.Lstat(".")
	if err != nil {
		return err
	}
	u.dirs[path] = &dirFacts{keepMode: true, atime: st.Atim, mtime: st.Mtim}
	return nil
}

// makeDir makes a directory that is not there, as one that the changes need
// but do not name.
func (u *unpacker) makeDir(at *openDir, name, path string) error {
	if err := u.makeWay(at, name, path); err != nil {
		return err
	}
	if err := at.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := u.chown(at.Dir, name, layer.Entry{Path: path}); err != nil {
		return err
	}
	u.seen[path] = true
	u.dirs[path] = &dirFacts{fresh: true, mode: 0o755}
	return nil
}

// directory makes the directory of an entry, or changes the one that is there.
func (u *unpacker) directory(at *openDir, name string, e layer.Entry) error {
	if isDir, ours := u.seen[e.Path]; ours && !isDir {
		if err := u.makeWay(at, name, e.Path); err != nil {
			return err
		}
	}
	d, err := u.enter(e.Path)
	if err != nil {
		return err
	}
	if err := u.chown(d.Dir, ".", e); err != nil {
		return err
	}
	facts := u.dirs[e.Path]
	if !facts.fresh {
		if err := u.dropXattrs(d.Dir, ".", e); err != nil {
			return err
		}
	}
	facts.keepMode, facts.mode = false, e.Mode
	facts.mtime = timespec(e.ModTime)
	facts.atime = facts.mtime
	return u.setXattrs(d.Dir, ".", e)
}

// finishDirs gives all directories their mode and times, the deepest first.
func (u *unpacker) finishDirs() error {
	paths := slices.SortedFunc(maps.Keys(u.dirs), layer.Compare)
	for _, path := range slices.Backward(paths) {
		if err := u.finishDir(path, u.dirs[path]); err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	return nil
}

func (u *unpacker) finishDir(path string, facts *dirFacts) (err error) {
	d, err := u.root.Dir(path)
	if err != nil {
		if !u.seen[path] && isMissing(err) {
			return nil // something was removed from it first, then all of it
		}
		return err
	}
	defer func() {
		if closeErr := d.Close(); err == nil {
			err = closeErr
		}
	}()
	if !facts.keepMode {
		if err := d.Chmod(".", facts.mode); err != nil {
			return err
		}
	}
	return d.Lutimes(".", facts.atime, facts.mtime)
}
