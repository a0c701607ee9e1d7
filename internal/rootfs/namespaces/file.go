package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
)

// makeFile makes a file that exists for this process only. It is kept in a file
// system in memory, inside the mount namespace: a secret never reaches a disk,
// and is gone with the process however that ends.
func (s *setup) makeFile(i int, f proc.File) (*os.File, error) {
	dir := filepath.Join(s.Scratch, "files")
	if err := mountPrivate(dir); err != nil {
		return nil, fmt.Errorf("make room for file: %w", err)
	}
	path := filepath.Join(dir, fmt.Sprint(i))
	if err := os.WriteFile(path, f.Content, 0o600); err != nil {
		return nil, err
	}
	if err := os.Chown(path, int(f.UID), int(f.GID)); err != nil {
		return nil, err
	}
	if err := unix.Chmod(path, f.Mode); err != nil { // last: chown clears set-uid bits
		return nil, err
	}
	return openPath(path)
}

// mountPrivate mounts a file system in memory on dir, unless there is one.
func mountPrivate(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700")
}
