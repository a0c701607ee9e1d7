package inplace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// show puts what m shows at its target. What is there is moved out of the way
// meanwhile; directories that are missing on the way are made. All of it is
// undone by takeBack, and no directory's times show that anything happened.
func (s *shown) show(m rootfs.Mount) error {
	target, err := securejoin.SecureJoin("/", m.Target)
	if err != nil {
		return err
	}
	switch {
	case m.Tmpfs != nil:
		return s.make(target, true, func() error { return makeDir(target, m.Tmpfs.Mode) })
	case m.File != nil:
		return s.make(target, false, func() error { return makeFile(target, *m.File) })
	}
	source, err := s.source(m)
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if m.ReadOnly && info.Mode().IsRegular() {
		return s.make(target, false, func() error { return copyTree(source, target) })
	}
	if err := s.makeWay(target, info.IsDir()); err != nil {
		return err
	}
	return s.lend(source, target, m.ReadOnly)
}

// source returns where what m shows is now, symbolic links resolved.
func (s *shown) source(m rootfs.Mount) (string, error) {
	source, err := m.Path, error(nil)
	if m.Tree != nil {
		source, err = securejoin.SecureJoin(m.Tree.Upper, m.Path)
	} else {
		source, err = filepath.EvalSymlinks(m.Path)
	}
	if err != nil {
		return "", err
	}
	if at, ok := s.lent[source]; ok {
		return at, nil
	}
	return source, nil
}

// makeWay moves what is at target away, and makes the directories above it.
func (s *shown) makeWay(target string, dir bool) error {
	if target == "/" {
		return errors.New("nothing can be shown in the place of /")
	}
	if err := s.makeParents(filepath.Dir(target)); err != nil {
		return err
	}
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if dir != info.IsDir() {
		return map[bool]error{true: unix.ENOTDIR, false: unix.EISDIR}[dir]
	}
	aside := filepath.Join(s.scratch, fmt.Sprintf("aside%d", len(s.undo)))
	if err := keepingTimes(target, func() error { return move(target, aside) }); err != nil {
		return err
	}
	s.later(func() error { return keepingTimes(target, func() error { return move(aside, target) }) })
	return nil
}

func (s *shown) makeParents(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	if err := s.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := keepingTimes(dir, func() error { return makeDir(dir, 0o755) }); err != nil {
		return err
	}
	s.later(func() error {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil // the process has removed it
		}
		err := keepingTimes(dir, func() error { return os.Remove(dir) })
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
			return nil // the process has put something there
		}
		return err
	})
	return nil
}

// make makes what exists for the process only.
func (s *shown) make(target string, dir bool, create func() error) error {
	if err := s.makeWay(target, dir); err != nil {
		return err
	}
	s.later(func() error { return keepingTimes(target, func() error { return os.RemoveAll(target) }) })
	return keepingTimes(target, create)
}

// lend moves source to target, and back. What is on another device, or mounted,
// is copied there and, unless readOnly, back.
func (s *shown) lend(source, target string, readOnly bool) error {
	err := keepingTimes(target, func() error { return os.Rename(source, target) })
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EBUSY) {
		return s.lendCopy(source, target, readOnly)
	}
	if err != nil {
		return fmt.Errorf("move into place: %w", err)
	}
	s.lent[source] = target
	s.later(func() error {
		if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
			return os.Mkdir(source, 0o755) // the process has removed it
		}
		return keepingTimes(target, func() error { return os.Rename(target, source) })
	})
	return nil
}

func (s *shown) lendCopy(source, target string, readOnly bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket != 0 {
		return s.fill(target, func() error { return os.Symlink(source, target) })
	}
	if err := s.fill(target, func() error { return copyTree(source, target) }); err != nil {
		return fmt.Errorf("copy into place: %w", err)
	}
	if readOnly {
		return nil
	}
	s.later(func() error {
		if info.IsDir() {
			return replaceContent(target, source)
		}
		return copyFile(target, source)
	})
	return nil
}

// fill is make where the way is free already.
func (s *shown) fill(target string, create func() error) error {
	s.later(func() error { return keepingTimes(target, func() error { return os.RemoveAll(target) }) })
	return keepingTimes(target, create)
}

// keepingTimes calls change and puts the times of the directory that path is in
// back afterwards. Where that directory is gone there is nothing to change.
func keepingTimes(path string, change func() error) error {
	dir := filepath.Dir(path)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return scan.KeepTimes(dir, change)
}

func makeDir(path string, mode uint32) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return unix.Chmod(path, mode)
}

func makeFile(path string, f proc.File) error {
	if err := os.WriteFile(path, f.Content, 0o600); err != nil {
		return err
	}
	if err := os.Chown(path, int(f.UID), int(f.GID)); err != nil {
		return err
	}
	return unix.Chmod(path, f.Mode)
}
