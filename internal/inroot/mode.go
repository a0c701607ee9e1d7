package inroot

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Chmod changes the mode of name. A symbolic link has none: EOPNOTSUPP.
func (d *Dir) Chmod(name string, mode uint32) error {
	return d.call("chmod", name, true, func() error {
		err := unix.Fchmodat(d.fd(), name, mode, unix.AT_SYMLINK_NOFOLLOW)
		switch err {
		case unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM:
			// A kernel before Linux 6.6, or a seccomp profile that is older.
			return d.oldChmod(name, mode)
		}
		return err
	})
}

// oldChmod changes the mode of what name is once it is open: it cannot be
// swapped for a link any more.
func (d *Dir) oldChmod(name string, mode uint32) error {
	fd, err := unix.Openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	return unix.Chmod(procPath(fd), mode)
}

// procPath is a path to an open file. It leads where the file is, whatever has
// happened to its name.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
