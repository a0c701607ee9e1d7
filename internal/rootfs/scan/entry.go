package scan

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
)

// ErrSocket is returned for a socket, which no layer can hold.
var ErrSocket = errors.New("a socket cannot be in a layer")

// Lstat is lstat(2) of a path of the host.
func Lstat(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return st, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return st, nil
}

// Entry returns what a layer says about the file at the path file, which it
// calls name; st is what lstat says of it. Content is not read.
func Entry(file, name string, st *unix.Stat_t) (layer.Entry, error) {
	e := layer.Entry{
		Path: name, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid,
		ModTime: time.Unix(st.Mtim.Unix()),
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Type, e.Size = layer.Regular, st.Size
	case unix.S_IFDIR:
		e.Type = layer.Dir
	case unix.S_IFLNK:
		e.Type = layer.Symlink
		if e.Linkname, err = os.Readlink(file); err != nil {
			return layer.Entry{}, err
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Type = layer.Char
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			e.Type = layer.Block
		}
		e.Major, e.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFIFO:
		e.Type = layer.Fifo
	case unix.S_IFSOCK:
		return layer.Entry{}, ErrSocket
	default:
		return layer.Entry{}, fmt.Errorf("%s: unknown type of file %#o", file, st.Mode&unix.S_IFMT)
	}
	e.Xattrs, err = Xattrs(file)
	return e, err
}

// Names returns the names in a directory, sorted by their bytes: visiting them
// in this order, each followed by what it holds, is the order of
// [layer.Compare].
func Names(dir string) (_ []string, err error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NOATIME, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	return names, nil
}
