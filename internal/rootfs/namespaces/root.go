package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/mnt"
)

// isolateMounts keeps what is mounted from here on out of the host's view, and
// the host's new mounts out of ours.
func (s *setup) isolateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return nil
}

// mountRoot mounts the root filesystem in the scratch directory.
func (s *setup) mountRoot() error {
	dir, err := s.mountScratch("root", s.config.Root)
	if err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	s.root = dir
	return nil
}

// mountScratch mounts t on a new directory in the scratch directory.
func (s *setup) mountScratch(name string, t rootfs.Tree) (dir string, err error) {
	dir = filepath.Join(s.Scratch, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if t.Lower == nil {
		return dir, mnt.Bind(t.Upper, dir, false)
	}
	o := mnt.Overlay{Lower: t.Lower, Upper: t.Upper, Work: t.Work, UserXattr: t.UserXattr}
	if err := o.Mount(dir); err != nil {
		if t.Upper != "" {
			return "", fmt.Errorf("%w; the upper directory is %s", err, t.Upper)
		}
		return "", err
	}
	return dir, nil
}

// pivot makes the root "/", and the old root the working directory.
//
// From here on the kernel itself resolves every absolute path, with all the
// symbolic links an image may hold, inside the root: there is no other place
// for it to go. What is needed of the host is named relative to the working
// directory or was opened before.
func (s *setup) pivot() error {
	old, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open old root: %w", err)
	}
	defer unix.Close(old)
	if err := unix.Chdir(s.root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	// With both names the same the old root ends up on top of the new one, so
	// that no directory in the root is needed for it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Fchdir(old); err != nil {
		return fmt.Errorf("enter old root: %w", err)
	}
	return nil
}

// leave detaches everything of the host.
func (s *setup) leave() error {
	for _, f := range s.sources {
		if f == nil {
			continue
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("leave host: %w", err)
		}
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	return nil
}

// isRefused reports whether the kernel does not let us do what it could do: a
// user namespace, a container or a security module is in the way.
func isRefused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
