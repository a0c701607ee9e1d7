package buildcontext

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// Dir is a directory as a source tree. What it has read of a directory it
// keeps, compactly, so that each is read once in a build; the tree is taken to
// stay as it is meanwhile.
//
// Everything is shown as the reference wants COPY to see it: owned by 0:0 and
// without extended attributes (BuildKit loses even security.capability on the
// way, because it changes the owner after setting them); sockets as empty
// files.
type Dir struct {
	name   string
	root   *os.Root
	ignore *Ignore
	ahead  readAhead
	hidden inode // a directory that is not shown
	// buffers are for hashing: of small files there are many.
	buffers sync.Pool

	mu       sync.Mutex
	listings map[string]*listing
	inodes   map[inode]string // the first name seen of files with several
}

// inode identifies a file that has several names.
type inode struct{ dev, ino uint64 }

// Dir is a view that can be told what is going to be read, and that knows the
// digests of its files.
var _ tree.View = (*Dir)(nil)

// Open returns the source tree name, without what ignore matches (nil for
// nothing). Close it after the last read.
func Open(name string, ignore *Ignore) (*Dir, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("open context: %w", err)
	}
	d := &Dir{
		name: name, root: root, ignore: ignore,
		listings: make(map[string]*listing),
		inodes:   make(map[inode]string),
	}
	d.ahead.workers = runtime.GOMAXPROCS(0)
	return d, nil
}

// Hide leaves out the directory dir, wherever in the tree it is: kiln's own
// folder, which changes while the build reads it. It is called before anything
// is read.
func (d *Dir) Hide(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	d.hidden = inode{st.Dev, st.Ino}
	return nil
}

// Close closes the directory.
func (d *Dir) Close() error {
	d.ahead.stop()
	return d.root.Close()
}

// Name returns the directory's name as it was given.
func (d *Dir) Name() string { return d.name }

// IgnoredBy tells why path, which is there, is not shown: the pattern and the
// name of the file it is from. ok is false if the path is not there either.
func (d *Dir) IgnoredBy(path string) (pattern, file string, ok bool) {
	if _, err := d.root.Lstat(path); err != nil || d.ignore == nil {
		return "", "", false
	}
	pattern = d.ignore.Pattern(path)
	return pattern, d.ignore.Name, pattern != ""
}

// Lstat implements [tree.View].
func (d *Dir) Lstat(path string) (layer.Entry, error) {
	if path == "." {
		return d.lstatRoot()
	}
	l, i, err := d.find(path)
	if err != nil {
		return layer.Entry{}, err
	}
	return l.entry(i), nil
}

func (d *Dir) lstatRoot() (layer.Entry, error) {
	info, err := d.root.Stat(".")
	if err != nil {
		return layer.Entry{}, fmt.Errorf("read context: %w", err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return layer.Entry{Path: ".", Type: layer.Dir, Mode: st.Mode & 0o7777, ModTime: info.ModTime()}, nil
}

// ReadDir implements [tree.View].
func (d *Dir) ReadDir(path string) ([]layer.Entry, error) {
	l := d.listing(path)
	if err := l.read(); err != nil {
		return nil, err
	}
	entries := make([]layer.Entry, len(l.items))
	for i := range l.items {
		entries[i] = l.entry(i)
	}
	return entries, nil
}

// Prefetch says that the directories at paths are going to be read: it is done
// in the background, the first of them first.
func (d *Dir) Prefetch(paths ...string) {
	listings := make([]*listing, len(paths))
	for i, path := range paths {
		listings[len(paths)-1-i] = d.listing(path)
	}
	d.ahead.push(listings)
}

// Open implements [tree.View].
func (d *Dir) Open(_ context.Context, path string) (io.ReadCloser, error) {
	l, i, err := d.find(path)
	if err != nil {
		return nil, err
	}
	it := &l.items[i]
	if it.typ != layer.Regular {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if it.socket {
		return io.NopCloser(strings.NewReader("")), nil
	}
	// O_NONBLOCK: should a fifo have taken the file's place, do not wait for it.
	f, err := d.open(path, unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// open opens path for reading without changing its access time, where that is
// allowed.
func (d *Dir) open(path string, flags int) (*os.File, error) {
	f, err := d.root.OpenFile(path, os.O_RDONLY|unix.O_NOATIME|flags, 0)
	if isPermission(err) {
		// Only a file's owner may ask for O_NOATIME.
		f, err = d.root.OpenFile(path, os.O_RDONLY|flags, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("read context: %w", err)
	}
	return f, nil
}

// Sum returns the sha256 of a regular file's content. It is computed once.
func (d *Dir) Sum(ctx context.Context, path string) ([sha256.Size]byte, error) {
	l, i, err := d.find(path)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	if sum := l.sums[i].Load(); sum != nil {
		return *sum, nil
	}
	sum, err := d.hash(ctx, path)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	l.sums[i].Store(&sum)
	return sum, nil
}

func (d *Dir) hash(ctx context.Context, path string) (sum [sha256.Size]byte, err error) {
	f, err := d.Open(ctx, path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	buf, ok := d.buffers.Get().(*[64 << 10]byte)
	if !ok {
		buf = new([64 << 10]byte)
	}
	defer d.buffers.Put(buf)
	h := sha256.New()
	for ctx.Err() == nil {
		n, err := f.Read(buf[:])
		_, _ = h.Write(buf[:n]) // a hash does not fail
		if errors.Is(err, io.EOF) {
			return [sha256.Size]byte(h.Sum(sum[:0])), nil
		}
		if err != nil {
			return sum, fmt.Errorf("read context: %w", err)
		}
	}
	return sum, context.Cause(ctx)
}
