package unpack

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

// Whiteouts says what becomes of the markers of deleted paths.
type Whiteouts uint8

const (
	// Remove deletes what a marker names: the directory holds the layers
	// below, merged.
	Remove Whiteouts = iota
	// Overlay leaves the markers of overlayfs: the directory is one layer of
	// it. An opaque directory has the extended attribute
	// trusted.overlay.opaque, which takes CAP_SYS_ADMIN on the host.
	Overlay
	// OverlayUserXattr is Overlay for a mount with the option userxattr: the
	// attribute is user.overlay.opaque.
	OverlayUserXattr
)

// Options say how Apply puts changes into a directory. The zero value is for
// the root user and a directory with the layers below.
type Options struct {
	Whiteouts Whiteouts
	// SingleID says that there is one user ID only, 0, so that nothing can be
	// given to another.
	SingleID bool
	// SkipDevices leaves out devices, which cannot be made in a user namespace.
	SkipDevices bool
	// Skipped, if not nil, is told what is left out: a device, or an extended
	// attribute that the file system does not take. It may be called from
	// several goroutines at once.
	Skipped func(path string, reason error)
}

// Apply puts changes into root, in their order. As overlayfs would show it, and
// containerd unpacks it:
//
//   - An entry takes the place of what is there, but a directory that is there
//     keeps what is in it.
//   - Directories that changes need but do not name are made with mode 0755,
//     owner 0:0 and time 0. Ones that are there keep their times.
//   - A path that is a directory by the changes becomes one even where a lower
//     layer has a symbolic link.
//   - A whiteout hides what layers below have, never what changes put there.
//     (Overlayfs does not look at an opaque marker of its root.)
//   - The entry of the root itself is left out: a root filesystem's root
//     directory belongs to its engine.
//
// If Apply fails, root is left half done.
func Apply(ctx context.Context, root *inroot.Root, changes iter.Seq2[layer.Change, error], o Options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u, err := newUnpacker(root, o, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	for c, err := range changes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if err := u.change(ctx, c); err != nil {
			return fmt.Errorf("unpack %s: %w", c.Path, err)
		}
	}
	if err := u.files.wait(); err != nil {
		return err
	}
	if err := u.finishMarkers(); err != nil {
		return err
	}
	return u.finishDirs()
}

// unpacker is an Apply under way.
type unpacker struct {
	root    *inroot.Root // refuses symbolic links
	options Options
	// seen are the paths that the changes have put there, also the directories
	// that they only need; true is a directory.
	seen map[string]bool
	// markers are the Whiteout and Opaque ones that overlayfs will be told of.
	markers map[string]layer.Type
	// dirs are the directories that something was done to.
	dirs   map[string]*dirFacts
	where  chain
	files  *filePool
	buffer []byte // for large files
}

func newUnpacker(root *inroot.Root, o Options, fail func(error)) (*unpacker, error) {
	u := &unpacker{
		root:    root.NoFollow(),
		options: o,
		seen:    make(map[string]bool),
		markers: make(map[string]layer.Type),
		dirs:    make(map[string]*dirFacts),
	}
	d, err := u.root.Dir(".")
	if err != nil {
		return nil, err
	}
	u.where.push(&openDir{Dir: d, path: "."})
	if err := u.remember(d, "."); err != nil {
		return nil, errors.Join(err, u.where.close())
	}
	list, err := d.ReadDir()
	if err != nil {
		return nil, errors.Join(err, u.where.close())
	}
	u.where.last().fresh = len(list) == 0
	u.files = newFilePool(u, fail)
	return u, nil
}

func (u *unpacker) close() error { return errors.Join(u.files.close(), u.where.close()) }

func (u *unpacker) change(ctx context.Context, c layer.Change) error {
	switch {
	case c.Type == layer.Whiteout || c.Type == layer.Opaque:
		return u.marker(c.Entry)
	case c.Path == ".":
		return nil
	case (c.Type == layer.Char || c.Type == layer.Block) && u.options.SkipDevices:
		u.skipped(c.Path, errNoDevices)
		return nil
	}
	if err := u.checkOwner(c.Entry); err != nil {
		return err
	}
	dir, err := u.enter(layer.Parent(c.Path))
	if err != nil {
		return err
	}
	name := layer.Base(c.Path)
	if c.Type == layer.Dir {
		return u.directory(dir, name, c.Entry)
	}
	if err := u.makeWay(dir, name, c.Path); err != nil {
		return err
	}
	u.seen[c.Path] = false
	switch c.Type {
	case layer.Regular:
		return u.regular(ctx, dir, name, c)
	case layer.Link:
		return u.link(dir, name, c.Entry)
	}
	return u.special(dir, name, c.Entry)
}

var errNoDevices = errors.New("devices cannot be made in a user namespace")

func (u *unpacker) skipped(path string, reason error) {
	if u.options.Skipped != nil {
		u.options.Skipped(path, reason)
	}
}

// makeWay removes what is at path so that something new can be put there.
func (u *unpacker) makeWay(dir *openDir, name, path string) error {
	isDir, ours := u.seen[path]
	if !ours && dir.fresh {
		return nil
	}
	if ours {
		// The changes name a path twice: what they put there, or below it,
		// may still be on its way.
		if err := u.files.wait(); err != nil {
			return err
		}
	}
	if isDir {
		if err := u.forget(path); err != nil {
			return err
		}
	}
	delete(u.seen, path)
	return dir.RemoveAll(name)
}

// forget drops what is known of a directory and of all below it.
func (u *unpacker) forget(path string) error {
	u.where.leave(path)
	list, err := u.root.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range list {
		below := path + "/" + e.Name()
		if e.IsDir() {
			if err := u.forget(below); err != nil {
				return err
			}
		}
		delete(u.seen, below)
	}
	delete(u.dirs, path)
	return nil
}

// link makes another name of a file.
func (u *unpacker) link(dir *openDir, name string, e layer.Entry) error {
	if err := u.files.wait(); err != nil { // the file may still be on its way
		return err
	}
	from, err := u.root.Dir(layer.Parent(e.Linkname))
	if err == nil {
		err = dir.Link(from, layer.Base(e.Linkname), name)
		if closeErr := from.Close(); err == nil {
			err = closeErr
		}
	}
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("hard link to %s, which is not there", e.Linkname)
	}
	return err
}

// special makes a symbolic link, a device or a named pipe.
func (u *unpacker) special(dir *openDir, name string, e layer.Entry) error {
	var err error
	switch e.Type {
	case layer.Symlink:
		err = dir.Symlink(e.Linkname, name)
	case layer.Char:
		err = dir.Mknod(name, unix.S_IFCHR|e.Mode, unix.Mkdev(e.Major, e.Minor))
	case layer.Block:
		err = dir.Mknod(name, unix.S_IFBLK|e.Mode, unix.Mkdev(e.Major, e.Minor))
	case layer.Fifo:
		err = dir.Mknod(name, unix.S_IFIFO|e.Mode, 0)
	default:
		err = fmt.Errorf("entry type %d is unknown", e.Type)
	}
	if err != nil {
		return err
	}
	if err := u.chown(dir.Dir, name, e); err != nil {
		return err
	}
	if e.Type != layer.Symlink {
		if err := dir.Chmod(name, e.Mode); err != nil {
			return err
		}
	}
	if err := u.setXattrs(dir.Dir, name, e); err != nil {
		return err
	}
	t := timespec(e.ModTime)
	return dir.Lutimes(name, t, t)
}
