package inroot

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// The methods below do to a path what those of Dir do to a name.

// Lstat describes name.
func (r *Root) Lstat(name string) (st unix.Stat_t, err error) {
	err = r.at("lstat", name, func(d *Dir, base string) error {
		st, err = d.Lstat(base)
		return err
	})
	return st, err
}

// Readlink returns the target of the symbolic link name.
func (r *Root) Readlink(name string) (target string, err error) {
	err = r.at("readlink", name, func(d *Dir, base string) error {
		target, err = d.Readlink(base)
		return err
	})
	return target, err
}

// Create makes the regular file name, which must not exist, and opens it for
// writing. The mode is subject to the umask.
func (r *Root) Create(name string, mode uint32) (f *os.File, err error) {
	err = r.at("create", name, func(d *Dir, base string) error {
		f, err = d.Create(base, mode)
		return err
	})
	return f, err
}

// Mkdir makes the directory name with exactly this mode.
func (r *Root) Mkdir(name string, mode uint32) error {
	return r.at("mkdir", name, func(d *Dir, base string) error { return d.Mkdir(base, mode) })
}

// Symlink makes name a symbolic link to target.
func (r *Root) Symlink(target, name string) error {
	return r.at("symlink", name, func(d *Dir, base string) error { return d.Symlink(target, base) })
}

// Link makes name another name of the file oldName.
func (r *Root) Link(oldName, name string) error {
	return r.at("link", oldName, func(from *Dir, oldBase string) error {
		return r.at("link", name, func(d *Dir, base string) error { return d.Link(from, oldBase, base) })
	})
}

// Mknod makes the device, named pipe or empty file name. The mode has the type
// bits of mknod(2), dev comes from [unix.Mkdev]; the umask applies.
func (r *Root) Mknod(name string, mode uint32, dev uint64) error {
	return r.at("mknod", name, func(d *Dir, base string) error { return d.Mknod(base, mode, dev) })
}

// Chmod changes the mode of name. A symbolic link has none: EOPNOTSUPP.
func (r *Root) Chmod(name string, mode uint32) error {
	return r.at("chmod", name, func(d *Dir, base string) error { return d.Chmod(base, mode) })
}

// Lchown changes the owner of name.
func (r *Root) Lchown(name string, uid, gid uint32) error {
	return r.at("lchown", name, func(d *Dir, base string) error { return d.Lchown(base, uid, gid) })
}

// Lutimes changes the access and modification time of name.
func (r *Root) Lutimes(name string, atime, mtime unix.Timespec) error {
	return r.at("set times of", name, func(d *Dir, base string) error { return d.Lutimes(base, atime, mtime) })
}

// Lsetxattr sets the extended attribute attr of name.
func (r *Root) Lsetxattr(name, attr, value string) error {
	return r.at("set xattr "+attr+" of", name, func(d *Dir, base string) error { return d.Lsetxattr(base, attr, value) })
}

// Lgetxattr returns the extended attribute attr of name; ENODATA if it has none.
func (r *Root) Lgetxattr(name, attr string) (value string, err error) {
	err = r.at("get xattr "+attr+" of", name, func(d *Dir, base string) error {
		value, err = d.Lgetxattr(base, attr)
		return err
	})
	return value, err
}

// Llistxattr returns the names of the extended attributes of name.
func (r *Root) Llistxattr(name string) (attrs []string, err error) {
	err = r.at("list xattrs of", name, func(d *Dir, base string) error {
		attrs, err = d.Llistxattr(base)
		return err
	})
	return attrs, err
}

// Lremovexattr removes the extended attribute attr of name.
func (r *Root) Lremovexattr(name, attr string) error {
	return r.at("remove xattr "+attr+" of", name, func(d *Dir, base string) error { return d.Lremovexattr(base, attr) })
}

// Remove removes name, which may be an empty directory.
func (r *Root) Remove(name string) error {
	return r.at("remove", name, func(d *Dir, base string) error { return d.Remove(base) })
}

// RemoveAll removes name and all that is in it; that nothing is there is no
// error. What is mounted at name or below it stays, with the directories above
// it, and the error is then EBUSY, after everything else was removed.
func (r *Root) RemoveAll(name string) error {
	err := r.at("remove", name, func(d *Dir, base string) error { return d.RemoveAll(base) })
	if errors.Is(err, unix.ENOENT) { // already its parent is missing
		return nil
	}
	return err
}

// Rename moves name to newName, in place of what is there.
func (r *Root) Rename(name, newName string) error {
	return r.at("rename", name, func(from *Dir, base string) error {
		return r.at("rename", newName, func(to *Dir, newBase string) error { return from.Rename(base, to, newBase) })
	})
}
