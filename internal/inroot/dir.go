package inroot

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is an open directory of a root. Its methods take the name of something in
// it, a single element; those that describe or change what is there, rather
// than make or remove it, take "." for the directory itself. They never follow
// a symbolic link. A Dir is safe for concurrent use until it is closed.
type Dir struct {
	file *os.File
	path string // for errors
}

func newDir(fd int, path string) *Dir {
	return &Dir{file: os.NewFile(uintptr(fd), path), path: path}
}

// Close closes the directory.
func (d *Dir) Close() error { return d.file.Close() }

func (d *Dir) fd() int { return int(d.file.Fd()) }

// call makes a system call for name, which may be "." if self is true.
func (d *Dir) call(op, name string, self bool, do func() error) error {
	bad := name == "" || name == ".." || name == "." && !self ||
		strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0
	if bad {
		return d.error(op, name, unix.EINVAL)
	}
	for {
		err := do()
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return d.error(op, name, err)
		}
	}
}

func (d *Dir) error(op, name string, err error) error {
	path := name
	switch {
	case name == ".":
		path = d.path
	case d.path != "." && d.path != "":
		path = d.path + "/" + name
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// Lstat describes name.
func (d *Dir) Lstat(name string) (st unix.Stat_t, err error) {
	err = d.call("lstat", name, true, func() error {
		return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	return st, err
}

// Readlink returns the target of the symbolic link name.
func (d *Dir) Readlink(name string) (target string, err error) {
	err = d.call("readlink", name, false, func() error {
		target, err = readlinkat(d.fd(), name)
		return err
	})
	return target, err
}

// Dir opens the directory name.
func (d *Dir) Dir(name string) (*Dir, error) {
	fd := -1
	err := d.call("open directory", name, true, func() (err error) {
		fd, err = unix.Openat(d.fd(), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	path := name
	switch {
	case name == ".":
		path = d.path
	case d.path != ".":
		path = d.path + "/" + name
	}
	return newDir(fd, path), nil
}

// Open opens the regular file or directory name for reading. Anything else,
// which may block or have effects of its own when it is opened, is an error.
func (d *Dir) Open(name string) (f *os.File, err error) {
	if err := d.call("open", name, true, func() error { return nil }); err != nil {
		return nil, err
	}
	return openFile(name, func(flags int) (int, error) {
		return retry(func() (int, error) {
			return unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
	})
}

// openFile opens a regular file or directory with the help of open, which
// resolves its name. It looks before it opens for reading, and again after.
func openFile(name string, open func(flags int) (int, error)) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	for _, flags := range []int{unix.O_PATH, unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY} {
		fd, err := open(flags)
		if err != nil {
			return fail(err)
		}
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = errNoFile
			if st.Mode&unix.S_IFMT == unix.S_IFLNK {
				err = unix.ELOOP
			}
		}
		if err == nil && flags&unix.O_NONBLOCK != 0 {
			return os.NewFile(uintptr(fd), name), nil
		}
		if closeErr := unix.Close(fd); err != nil || closeErr != nil {
			return fail(errors.Join(err, closeErr))
		}
	}
	return fail(errNoFile)
}

var errNoFile = errors.New("neither a regular file nor a directory")

// ReadDir lists the directory, sorted by name.
func (d *Dir) ReadDir() ([]fs.DirEntry, error) {
	f, err := d.reader()
	if err != nil {
		return nil, err
	}
	list, err := f.ReadDir(-1)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// reader opens the directory for reading what is in it.
func (d *Dir) reader() (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, d.error("read directory", ".", err)
	}
	return os.NewFile(uintptr(fd), d.path), nil
}

// Create makes the regular file name, which must not exist, and opens it for
// writing. The mode is subject to the umask.
func (d *Dir) Create(name string, mode uint32) (*os.File, error) {
	fd := -1
	err := d.call("create", name, false, func() (err error) {
		fd, err = unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Mkdir makes the directory name with exactly this mode.
func (d *Dir) Mkdir(name string, mode uint32) error {
	err := d.call("mkdir", name, false, func() error { return unix.Mkdirat(d.fd(), name, mode&0o777) })
	if err != nil {
		return err
	}
	return d.Chmod(name, mode)
}

// Symlink makes name a symbolic link to target.
func (d *Dir) Symlink(target, name string) error {
	return d.call("symlink", name, false, func() error { return unix.Symlinkat(target, d.fd(), name) })
}

// Link makes name another name of the file oldName in the directory from.
func (d *Dir) Link(from *Dir, oldName, name string) error {
	return from.call("link", oldName, false, func() error {
		return d.call("link", name, false, func() error { return unix.Linkat(from.fd(), oldName, d.fd(), name, 0) })
	})
}

// Mknod makes the device, named pipe or empty file name. The mode has the type
// bits of mknod(2), dev comes from [unix.Mkdev]; the umask applies.
func (d *Dir) Mknod(name string, mode uint32, dev uint64) error {
	return d.call("mknod", name, false, func() error { return unix.Mknodat(d.fd(), name, mode, int(dev)) })
}

// Lchown changes the owner of name.
func (d *Dir) Lchown(name string, uid, gid uint32) error {
	return d.call("lchown", name, true, func() error {
		return unix.Fchownat(d.fd(), name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Lutimes changes the access and modification time of name.
func (d *Dir) Lutimes(name string, atime, mtime unix.Timespec) error {
	return d.call("set times of", name, true, func() error {
		return unix.UtimesNanoAt(d.fd(), name, []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Remove removes name, which may be an empty directory.
func (d *Dir) Remove(name string) error {
	return d.call("remove", name, false, func() error {
		err := unix.Unlinkat(d.fd(), name, 0)
		if err == unix.EISDIR || err == unix.EPERM {
			// Some file systems say EPERM for a directory. If it is none,
			// that is the better answer than ENOTDIR.
			if dirErr := unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR); dirErr != unix.ENOTDIR {
				return dirErr
			}
		}
		return err
	})
}

// Rename moves name to newName in the directory to, in place of what is there.
func (d *Dir) Rename(name string, to *Dir, newName string) error {
	return to.call("rename", newName, false, func() error {
		return d.call("rename", name, false, func() error { return unix.Renameat(d.fd(), name, to.fd(), newName) })
	})
}
