package buildcontext

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/patternmatcher"
	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
)

// listing is one directory of a Dir, read once when it is first asked for.
type listing struct {
	dir  *Dir
	path string

	once  sync.Once
	err   error
	items []item                              // sorted by name
	sums  []atomic.Pointer[[sha256.Size]byte] // of the contents of items, where known

	matchOnce sync.Once
	matchErr  error
	match     patternmatcher.MatchInfo // what the ignore patterns say about path
}

// item is one name in a directory. A source tree may have hundreds of
// thousands of them, so that each holds only what most need.
type item struct {
	name   string
	size   int64
	sec    int64 // modification time
	nsec   uint32
	mode   uint16
	typ    layer.Type
	socket bool
	more   *more
}

// more is what few items have.
type more struct {
	link         string // as in layer.Entry
	major, minor uint32
}

func (l *listing) entry(i int) layer.Entry {
	it := &l.items[i]
	e := layer.Entry{
		Path: join(l.path, it.name), Type: it.typ, Mode: uint32(it.mode), Size: it.size,
		ModTime: time.Unix(it.sec, int64(it.nsec)),
	}
	if it.more != nil {
		e.Linkname, e.Major, e.Minor = it.more.link, it.more.major, it.more.minor
	}
	if sum := l.sums[i].Load(); sum != nil {
		e.Content = *sum
	}
	return e
}

// listing returns the listing of path, which may not have been read yet.
func (d *Dir) listing(path string) *listing {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.listings[path]
	if l == nil {
		l = &listing{dir: d, path: path}
		d.listings[path] = l
	}
	return l
}

// find returns the listing that path is in, and where.
func (d *Dir) find(path string) (*listing, int, error) {
	l := d.listing(layer.Parent(path))
	if err := l.read(); err != nil {
		return nil, 0, err
	}
	name := layer.Base(path)
	i := sort.Search(len(l.items), func(i int) bool { return l.items[i].name >= name })
	if i == len(l.items) || l.items[i].name != name {
		return nil, 0, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
	}
	return l, i, nil
}

func (l *listing) read() error {
	l.once.Do(func() { l.err = l.load() })
	return l.err
}

func (l *listing) load() error {
	match, err := l.matched()
	if err != nil {
		return err
	}
	f, err := l.dir.open(l.path, unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) {
		return &fs.PathError{Op: "lstat", Path: l.path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("read context: %s: %w", l.path, err)
	}
	slices.Sort(names)
	if l.items, err = l.stat(f, names, match); err != nil {
		return fmt.Errorf("read context: %w", err)
	}
	l.sums = make([]atomic.Pointer[[sha256.Size]byte], len(l.items))
	return nil
}

// matched returns what the ignore patterns say about the directory itself. It
// reads nothing, so that a listing can look at another one below it while it is
// being made.
func (l *listing) matched() (patternmatcher.MatchInfo, error) {
	l.matchOnce.Do(func() {
		if l.path == "." {
			return
		}
		parent, err := l.dir.listing(layer.Parent(l.path)).matched()
		if err != nil {
			l.matchErr = err
			return
		}
		_, l.match, l.matchErr = l.dir.ignore.match(l.path, parent)
	})
	return l.match, l.matchErr
}

// stat describes those of names that are not ignored.
func (l *listing) stat(f *os.File, names []string, match patternmatcher.MatchInfo) ([]item, error) {
	items := make([]item, 0, len(names))
	for _, name := range names {
		path := join(l.path, name)
		ignored, _, err := l.dir.ignore.match(path, match)
		if err != nil {
			return nil, err
		}
		if ignored && !l.dir.ignore.mayReinclude(path) {
			continue
		}
		it, err := l.dir.statAt(f, name, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the directory was read
		}
		if err != nil {
			return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		if ignored && (it.typ != layer.Dir || !l.dir.showsAny(path)) {
			continue
		}
		items = append(items, it)
	}
	return slices.Clip(items), nil
}

// showsAny reports whether anything below the ignored directory path is shown;
// only then is the directory.
func (d *Dir) showsAny(path string) bool {
	l := d.listing(path)
	// What cannot be read is not worth an error: nobody asked for it.
	return l.read() == nil && len(l.items) > 0
}

// statAt describes the file name in the open directory f; path is where that
// is in the tree.
func (d *Dir) statAt(f *os.File, name, path string) (item, error) {
	var st unix.Stat_t
	fd := int(f.Fd())
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return item{}, err
	}
	it := item{name: name, sec: st.Mtim.Sec, nsec: uint32(st.Mtim.Nsec), mode: uint16(st.Mode & 0o7777)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		it.typ, it.size = layer.Regular, st.Size
		if st.Nlink > 1 {
			it.more = &more{link: d.firstName(inode{st.Dev, st.Ino}, path)}
		}
	case unix.S_IFDIR:
		if (inode{st.Dev, st.Ino}) == d.hidden {
			return item{}, fs.ErrNotExist
		}
		it.typ = layer.Dir
	case unix.S_IFLNK:
		target, err := readLinkAt(fd, name)
		if err != nil {
			return item{}, err
		}
		it.typ, it.more = layer.Symlink, &more{link: target}
	case unix.S_IFCHR, unix.S_IFBLK:
		it.typ = layer.Char
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			it.typ = layer.Block
		}
		it.more = &more{major: unix.Major(st.Rdev), minor: unix.Minor(st.Rdev)}
	case unix.S_IFIFO:
		it.typ = layer.Fifo
	default:
		it.typ, it.socket = layer.Regular, true
	}
	return it, nil
}

// firstName returns the first name that was seen of a file with several.
func (d *Dir) firstName(id inode, path string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if first, ok := d.inodes[id]; ok {
		return first
	}
	d.inodes[id] = path
	return path
}

func readLinkAt(fd int, name string) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(fd, name, buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// isPermission reports whether err says that asking was not allowed.
func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
