package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// place is a path in the root that something is mounted on.
type place struct {
	path string
	// made are the paths that had to be made for it, outermost first.
	made []string
}

// makePlace returns where target really is, symbolic links resolved, and makes
// a directory or an empty file there if there is nothing. The directory that
// holds what was made keeps its times: what kiln adds, and takes away again,
// is no change of the image.
func (s *setup) makePlace(target string, dir bool) (string, error) {
	path, err := securejoin.SecureJoin("/", target)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", target, err)
	}
	missing, err := missingParts(path)
	if err != nil {
		return "", err
	}
	if len(missing) == 0 {
		s.places = append(s.places, place{path: path})
		return path, checkPlace(path, dir)
	}
	made := place{path: path}
	err = scan.KeepTimes(filepath.Dir(missing[0]), func() error {
		for i, part := range missing {
			last := i == len(missing)-1
			if err := makePart(part, dir || !last); err != nil {
				return err
			}
			made.made = append(made.made, part)
		}
		return nil
	})
	s.places = append(s.places, made)
	if err != nil {
		return "", fmt.Errorf("make place for mount: %w", err)
	}
	return path, nil
}

// missingParts returns the paths on the way to path, itself included, that do
// not exist, outermost first.
func missingParts(path string) ([]string, error) {
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		_, err := os.Lstat(p)
		if err == nil {
			slices.Reverse(missing)
			return missing, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, p)
	}
}

func checkPlace(path string, dir bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if dir && !info.IsDir() {
		return fmt.Errorf("mount directory on %s: %w", path, unix.ENOTDIR)
	}
	if !dir && info.IsDir() {
		return fmt.Errorf("mount file on %s: %w", path, unix.EISDIR)
	}
	return nil
}

func makePart(path string, dir bool) error {
	if dir {
		return os.Mkdir(path, 0o755)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// clear ends what the process left running and takes away what was made to
// mount on. Directories that the process has put something in stay.
func (s *setup) clear() error {
	endOthers()
	for _, p := range slices.Backward(s.places) {
		if len(p.made) == 0 {
			continue
		}
		if err := unmountAll(p.path); err != nil {
			return err
		}
		for _, made := range slices.Backward(p.made) {
			if err := removeMade(made); err != nil {
				return fmt.Errorf("remove place of mount: %w", err)
			}
		}
	}
	return nil
}

// unmountAll takes away all that is mounted on path. A process with the right
// to may have done so itself.
func unmountAll(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}

// removeMade removes an empty file or directory.
func removeMade(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() && (!info.Mode().IsRegular() || info.Size() > 0) {
		return nil // the process has put something else there
	}
	return scan.KeepTimes(filepath.Dir(path), func() error {
		err := os.Remove(path)
		if errors.Is(err, unix.ENOTEMPTY) {
			return nil
		}
		return err
	})
}
