package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// folder is a directory that this process holds a lock on. The lock goes when
// the process ends, in whatever way; it does not pass on to child processes.
type folder struct {
	path string
	lock *os.File
}

// newFolder makes a directory of a new name in parent and locks it for this
// process alone.
func newFolder(parent string) (*folder, error) {
	for {
		path, err := os.MkdirTemp(parent, "")
		if err != nil {
			return nil, err
		}
		f, err := lockFolder(path, unix.LOCK_EX)
		// Until it is locked the folder looks like that of a dead process, and
		// somebody may be removing it.
		if !isGone(err) {
			return f, err
		}
	}
}

// shareFolder locks the directory path together with others who share it, and
// makes it if it is not there.
func shareFolder(path string) (*folder, error) {
	for {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err := lockFolder(path, unix.LOCK_SH)
		if !isGone(err) {
			return f, err
		}
	}
}

// takeFolder locks the directory path for this process alone, if nobody else
// holds it. If somebody does, the error is unix.EWOULDBLOCK.
func takeFolder(path string) (*folder, error) {
	return lockFolder(path, unix.LOCK_EX|unix.LOCK_NB)
}

func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// lockFolder waits for the lock. The error is fs.ErrNotExist if the folder is
// removed meanwhile.
func lockFolder(path string, how int) (*folder, error) {
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path, lock: lock}
	if err := flock(lock, how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), lock.Close())
	}
	if err := f.exists(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return f, nil
}

// exists returns fs.ErrNotExist if the locked directory is not there any more,
// even if another one of its name is.
func (f *folder) exists() error {
	held, err := f.lock.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(f.path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return &fs.PathError{Op: "lock", Path: f.path, Err: fs.ErrNotExist}
	}
	return nil
}

func (f *folder) unlock() error { return f.lock.Close() }

// remove removes the directory with its content, and then unlocks it.
func (f *folder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.unlock())
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}
