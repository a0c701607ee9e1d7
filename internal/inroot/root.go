package inroot

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is a directory that names are resolved in. Names are slash-separated; a
// leading slash changes nothing, "." is the root. A Root is safe for concurrent
// use until it is closed.
//
// Symbolic links above the last element of a name are followed, inside the
// root; NoFollow makes a root that refuses them. The last element is not
// followed, except by Open, Dir, ReadDir and MkdirAll. Errors are *fs.PathError.
type Root struct {
	dir    *Dir
	strict bool // refuse symbolic links
	old    bool // do without openat2, as on a kernel before Linux 5.6
}

// Open returns the directory path as a root. How the host resolves path itself
// is up to the host.
func Open(path string) (*Root, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open root", Path: path, Err: err}
	}
	return &Root{dir: newDir(fd, ".")}, nil
}

// Close closes the root, and with it the roots that NoFollow made of it.
func (r *Root) Close() error { return r.dir.Close() }

// NoFollow returns a root of the same directory for which a symbolic link in a
// name is an error, ELOOP, wherever it would have been followed. It shares the
// open directory with r.
func (r *Root) NoFollow() *Root {
	strict := *r
	strict.strict = true
	return &strict
}

// Dir opens the directory name.
func (r *Root) Dir(name string) (*Dir, error) {
	fd, err := r.resolve(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: name, Err: err}
	}
	return newDir(fd, strings.Trim(name, "/")), nil
}

// Open opens the regular file or directory name for reading. Anything else,
// which may block or have effects of its own when it is opened, is an error.
func (r *Root) Open(name string) (*os.File, error) {
	return openFile(name, func(flags int) (int, error) { return r.resolve(name, flags) })
}

// ReadDir lists the directory name, sorted by name.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	d, err := r.Dir(name)
	if err != nil {
		return nil, err
	}
	list, err := d.ReadDir()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return list, err
}

// MkdirAll makes the directory name with mode, and those it is in where they
// are missing. Directories that exist stay as they are.
func (r *Root) MkdirAll(name string, mode uint32) error {
	d, err := r.Dir(name)
	if err == nil {
		return d.Close()
	}
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	parent, base := split(name)
	if base == "." {
		return err
	}
	if err := r.MkdirAll(parent, mode); err != nil {
		return err
	}
	err = r.Mkdir(name, mode)
	if errors.Is(err, unix.EEXIST) { // made by another in the meantime, or no directory
		if d, err = r.Dir(name); err == nil {
			err = d.Close()
		}
	}
	return err
}

// at calls do with the directory that name is in and the last element of name,
// which is "." where name ends in a directory as such.
func (r *Root) at(op, name string, do func(d *Dir, base string) error) error {
	parent, base := split(name)
	fd, err := r.resolve(parent, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	d := newDir(fd, parent)
	err = do(d, base)
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// split splits name into a directory and the last element in it.
func split(name string) (dir, base string) {
	name = strings.Trim(name, "/")
	i := strings.LastIndexByte(name, '/')
	dir, base = ".", name[i+1:]
	if i >= 0 {
		dir = name[:i]
	}
	if base == "" || base == "." || base == ".." {
		return name, "."
	}
	return dir, base
}
