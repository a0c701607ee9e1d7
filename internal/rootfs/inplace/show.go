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
	if err := s.makeWay(target); err != nil {
		return err
	}
	switch {
	case m.Tmpfs != nil:
		return s.make(target, func() error { return makeDir(target, m.Tmpfs.Mode) })
	case m.File != nil:
		return s.make(target, func() error { return makeFile(target, *m.File) })
	}
	source := m.Path
	if m.Tree != nil {
		if source, err = securejoin.SecureJoin(m.Tree.Upper, m.Path); err != nil {
			return err
		}
	}
	return s.lend(source, target)
}

// makeWay moves what is at target away, and makes the directories above it.
func (s *shown) makeWay(target string) error {
	if target == "/" {
		return errors.New("nothing can be shown in the place of /")
	}
	if err := s.makeParents(filepath.Dir(target)); err != nil {
		return err
	}
	if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := filepath.Join(s.scratch, fmt.Sprintf("aside%d", len(s.undo)))
	if err := keepingTimes(target, func() error { return os.Rename(target, aside) }); err != nil {
		return err
	}
	s.later(func() error { return keepingTimes(target, func() error { return os.Rename(aside, target) }) })
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
		err := keepingTimes(dir, func() error { return os.Remove(dir) })
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
			return nil // the process has put something in it, or removed it
		}
		return err
	})
	return nil
}

// make makes what exists for the process only.
func (s *shown) make(target string, create func() error) error {
	s.later(func() error { return keepingTimes(target, func() error { return os.RemoveAll(target) }) })
	return keepingTimes(target, create)
}

// lend moves source to target, and back.
func (s *shown) lend(source, target string) error {
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	if err := keepingTimes(target, func() error { return os.Rename(source, target) }); err != nil {
		return fmt.Errorf("move %s into place: %w", info.Name(), err)
	}
	s.later(func() error { return keepingTimes(target, func() error { return os.Rename(target, source) }) })
	return nil
}

// keepingTimes calls change and puts the times of the directory that path is in
// back afterwards.
func keepingTimes(path string, change func() error) error {
	return scan.KeepTimes(filepath.Dir(path), change)
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
