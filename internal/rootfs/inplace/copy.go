package inplace

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyTree copies a file or a directory, with modes, owners and times, to a
// path where there is nothing. Sockets are left out.
func copyTree(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if err = os.Mkdir(to, 0o700); err == nil {
			err = copyContent(from, to)
		}
	case mode.IsRegular():
		err = copyFile(from, to)
	case mode&os.ModeSymlink != 0:
		return copySymlink(from, to)
	case mode&os.ModeNamedPipe != 0:
		err = unix.Mkfifo(to, 0o600)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	facts, err := readFacts(from)
	if err != nil {
		return err
	}
	return facts.give(to)
}

func copySymlink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func copyContent(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// replaceContent makes the directory to hold what from holds.
func replaceContent(from, to string) error {
	old, err := os.ReadDir(to)
	if err != nil {
		return err
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return copyContent(from, to)
}

// copyFile writes the content of from to to, which is made if it is missing.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
