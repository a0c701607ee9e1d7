package scan

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Xattrs returns the extended attributes of path that an image keeps, nil if
// there are none: those of users, ACLs and file capabilities. Others belong to
// the machine: labels of its security modules, marks of its overlays.
func Xattrs(path string) (map[string]string, error) {
	names, err := listXattrs(path)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var xattrs map[string]string
	for _, name := range names {
		if !belongsToImage(name) {
			continue
		}
		value, ok, err := Xattr(path, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if xattrs == nil {
			xattrs = make(map[string]string)
		}
		xattrs[name] = value
	}
	return xattrs, nil
}

func belongsToImage(name string) bool {
	switch name {
	case "security.capability", "system.posix_acl_access", "system.posix_acl_default":
		return true
	}
	return strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// Xattr returns one extended attribute; ok is false if path has none of that
// name.
func Xattr(path, name string) (value string, ok bool, err error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Lgetxattr(path, name, buf)
		switch {
		case err == nil:
			return string(buf[:n]), true, nil
		case errors.Is(err, unix.ERANGE):
			if buf, err = growXattr(path, name); err != nil {
				return "", false, err
			}
		case isNoXattr(err):
			return "", false, nil
		default:
			return "", false, &os.PathError{Op: "read xattr " + name + " of", Path: path, Err: err}
		}
	}
}

func growXattr(path, name string) ([]byte, error) {
	n, err := unix.Lgetxattr(path, name, nil)
	if err != nil && !isNoXattr(err) {
		return nil, &os.PathError{Op: "read xattr " + name + " of", Path: path, Err: err}
	}
	return make([]byte, n+1), nil
}

func listXattrs(path string) ([]string, error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Llistxattr(path, buf)
		switch {
		case err == nil && n == 0:
			return nil, nil
		case err == nil:
			return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
		case errors.Is(err, unix.ERANGE):
			buf = make([]byte, 2*len(buf))
		case isNoXattr(err):
			return nil, nil
		default:
			return nil, &os.PathError{Op: "list xattrs of", Path: path, Err: err}
		}
	}
}

// isNoXattr reports whether err says that there is no such attribute, or that
// there can be none.
func isNoXattr(err error) bool {
	return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP)
}
