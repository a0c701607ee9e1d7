package inroot

import (
	"strings"

	"golang.org/x/sys/unix"
)

// There are no system calls for extended attributes relative to a directory
// before Linux 6.13; /proc stands in for them.
func (d *Dir) procPath(name string) string { return procPath(d.fd()) + "/" + name }

// Lsetxattr sets the extended attribute attr of name.
func (d *Dir) Lsetxattr(name, attr, value string) error {
	return d.call("set xattr "+attr+" of", name, true, func() error {
		return unix.Lsetxattr(d.procPath(name), attr, []byte(value), 0)
	})
}

// Lgetxattr returns the extended attribute attr of name; ENODATA if it has none.
func (d *Dir) Lgetxattr(name, attr string) (value string, err error) {
	err = d.call("get xattr "+attr+" of", name, true, func() error {
		value, err = grow(func(buffer []byte) (int, error) { return unix.Lgetxattr(d.procPath(name), attr, buffer) })
		return err
	})
	return value, err
}

// Llistxattr returns the names of the extended attributes of name.
func (d *Dir) Llistxattr(name string) (attrs []string, err error) {
	err = d.call("list xattrs of", name, true, func() error {
		list, err := grow(func(buffer []byte) (int, error) { return unix.Llistxattr(d.procPath(name), buffer) })
		for attr := range strings.SplitSeq(list, "\x00") {
			if attr != "" {
				attrs = append(attrs, attr)
			}
		}
		return err
	})
	return attrs, err
}

// Lremovexattr removes the extended attribute attr of name.
func (d *Dir) Lremovexattr(name, attr string) error {
	return d.call("remove xattr "+attr+" of", name, true, func() error {
		return unix.Lremovexattr(d.procPath(name), attr)
	})
}

// grow calls read with a buffer that is large enough.
func grow(read func(buffer []byte) (int, error)) (string, error) {
	for size := 256; ; size *= 2 {
		buffer := make([]byte, size)
		n, err := read(buffer)
		if err == unix.ERANGE && size < 1<<20 {
			continue
		}
		if err != nil {
			return "", err
		}
		return string(buffer[:n]), nil
	}
}
