package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Take looks at the tree root. Paths of skip are left out. Files that vanish
// meanwhile are not in it.
func Take(ctx context.Context, root string, skip Skip) (*Snapshot, error) {
	fd, err := openDir(unix.AT_FDCWD, root)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	w := &walker{ctx: ctx, skip: skip, helpers: make(chan struct{}, runtime.GOMAXPROCS(0)-1)}
	s := &Snapshot{}
	var st unix.Statx_t
	if err := statx(fd, "", unix.AT_EMPTY_PATH, &st); err != nil {
		return nil, errors.Join(&os.PathError{Op: "stat", Path: root, Err: err}, unix.Close(fd))
	}
	s.root = newNode(".", &st)
	if s.root.dir, err = w.dir(fd, ".", &st); err != nil {
		return nil, fmt.Errorf("look at %s: %w", root, err)
	}
	s.newest = s.root.maxCtime()
	return s, nil
}

// walker looks at directories on as many processors as there are. A directory
// stays open until all below it is done, so that every step is taken from an
// open directory, and no more than one line of them is open a processor.
type walker struct {
	ctx  context.Context
	skip Skip
	// helpers holds one token for each goroutine beside the first.
	helpers chan struct{}
}

// dir looks at the directory rel, which is open as fd, and closes it.
func (w *walker) dir(fd int, rel string, st *unix.Statx_t) (_ *dir, err error) {
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	names, err := readNames(fd)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", rel, err)
	}
	if skip := w.skip.names[rel]; skip != nil {
		names = slices.DeleteFunc(names, func(name string) bool { return skip[name] })
	}
	slices.Sort(names)
	d := &dir{}
	if st.Mask&unix.STATX_BTIME != 0 {
		d.birth = nanoseconds(st.Btime)
	}
	if d.xattrs, err = readXattrs(fd); err != nil {
		return nil, fmt.Errorf("read extended attributes of %s: %w", rel, err)
	}
	return d, w.nodes(fd, rel, names, d)
}

// nodes looks at the files names in the directory fd and at all below them.
func (w *walker) nodes(fd int, rel string, names []string, d *dir) error {
	d.nodes = make([]node, 0, len(names))
	stats := make(map[int]unix.Statx_t) // of directories
	for _, name := range names {
		var st unix.Statx_t
		err := statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &st)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("stat %s: %w", join(rel, name), err)
		}
		n := newNode(name, &st)
		if n.isDir() {
			stats[len(d.nodes)] = st
		}
		d.nodes = append(d.nodes, n)
	}
	if len(stats) == 0 {
		return nil
	}
	return w.subdirs(fd, rel, d, stats)
}

// subdirs looks at the directories among d.nodes.
func (w *walker) subdirs(fd int, rel string, d *dir, stats map[int]unix.Statx_t) error {
	var group sync.WaitGroup
	errs := make([]error, 0, len(stats))
	var mu sync.Mutex
	for i := range d.nodes {
		st, ok := stats[i]
		if !ok {
			continue
		}
		n := &d.nodes[i]
		look := func() {
			if err := w.subdir(fd, join(rel, n.name), n, &st); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		}
		select {
		case w.helpers <- struct{}{}:
			group.Go(func() {
				defer func() { <-w.helpers }()
				look()
			})
		default:
			look()
		}
	}
	group.Wait()
	return errors.Join(errs...)
}

func (w *walker) subdir(parent int, rel string, n *node, st *unix.Statx_t) error {
	fd, err := openDir(parent, n.name)
	if errors.Is(err, unix.ENOENT) {
		n.dir = &dir{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("open directory %s: %w", rel, err)
	}
	n.dir, err = w.dir(fd, rel, st)
	return err
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

func openDir(at int, name string) (fd int, err error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	err = retry(func() error { fd, err = unix.Openat(at, name, flags|unix.O_NOATIME, 0); return err })
	if errors.Is(err, unix.EPERM) {
		err = retry(func() error { fd, err = unix.Openat(at, name, flags, 0); return err })
	}
	return fd, err
}

func statx(fd int, name string, flags int, st *unix.Statx_t) error {
	return retry(func() error { return unix.Statx(fd, name, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, st) })
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// readNames returns the names in an open directory.
func readNames(fd int) ([]string, error) {
	buf := make([]byte, 32<<10)
	var names []string
	for {
		var n int
		err := retry(func() (err error) { n, err = unix.ReadDirent(fd, buf); return err })
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// readXattrs returns the extended attributes of an open directory, in a form
// that is equal for equal ones.
func readXattrs(fd int) (string, error) {
	n, err := unix.Flistxattr(fd, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	list := make([]byte, n)
	// An overlay leaves its own marks out only when it has read them.
	if n, err = unix.Flistxattr(fd, list); err != nil || n == 0 {
		return "", err
	}
	names := strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		size, err := unix.Fgetxattr(fd, name, nil)
		if err != nil {
			return "", err
		}
		value := make([]byte, size)
		if size > 0 {
			if size, err = unix.Fgetxattr(fd, name, value); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&all, "%s=%q\x00", name, value[:size])
	}
	return all.String(), nil
}
