package inroot

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// removeBatch is how many names of a directory are read at once.
const removeBatch = 256

// RemoveAll removes name and all that is in it; that nothing is there is no
// error. What is mounted at name or below it stays, with the directories above
// it, and the error is then EBUSY, after everything else was removed.
func (d *Dir) RemoveAll(name string) error {
	err := d.Remove(name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST):
		return err
	}
	// The kernel refuses to remove a mount point (EBUSY) before it looks
	// whether it is empty: this is a directory and nothing is mounted on it.
	if err := d.removeContent(name); err != nil {
		return err
	}
	if err := d.Remove(name); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// removeContent removes all that is in the directory name, as RemoveAll does.
func (d *Dir) removeContent(name string) (err error) {
	dir, err := d.Dir(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	list, err := dir.reader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()

	var busy error
	for {
		names, err := list.Readdirnames(removeBatch)
		for _, name := range names {
			switch err := dir.RemoveAll(name); {
			case errors.Is(err, unix.EBUSY):
				busy = err
			case err != nil:
				return err
			}
		}
		if err == io.EOF {
			return busy
		}
		if err != nil {
			return err
		}
	}
}
