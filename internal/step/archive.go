package step

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/spool"
	"github.com/kiln-build/kiln/internal/tree"
)

// unpack unpacks the archive that p is into the destination. It does nothing
// and returns false if p is none: what it is is recognised by its content.
func (c *copying) unpack(ctx context.Context, p pick) (done bool, err error) {
	return c.unpackFrom(ctx, p.source.Path, func() (io.ReadCloser, error) { return c.view.Open(ctx, p.root.Path) })
}

// unpackFrom unpacks what open returns; source names it in errors.
func (c *copying) unpackFrom(ctx context.Context, source string, open func() (io.ReadCloser, error)) (done bool, err error) {
	f, err := open()
	if err != nil {
		return false, fmt.Errorf("read source %s: %w", source, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	plain, _, err := layer.Decompress(f)
	if err != nil {
		return false, nil // not an archive: it is copied as it is
	}
	defer plain.Close()
	archive := tar.NewReader(plain)
	first, err := archive.Next()
	if err != nil {
		return false, nil
	}
	u, err := c.unpacker()
	if err != nil {
		return true, err
	}
	if err := u.all(ctx, archive, first); err != nil {
		return true, fmt.Errorf("unpack %s: %w", source, err)
	}
	return true, nil
}

// unpacker puts the members of an archive into a draft. The rules are those of
// the package BuildKit unpacks with (moby/go-archive): a member replaces what is
// there, only directories are merged; links are followed inside the
// destination directory, which is the root for them.
type unpacker struct {
	*copying
	root   string // the destination directory
	spool  *spool.Spool
	origin uint32
}

// unpacker makes the destination directory. --chmod has no effect on archives.
func (c *copying) unpacker() (*unpacker, error) {
	root, err := tree.Resolve(c.draft, tree.Clean(c.dest))
	if err != nil {
		return nil, err
	}
	if err := c.draft.mkdirAll(root, dirKind{mode: 0o755, owner: c.owner, now: c.now}); err != nil {
		return nil, err
	}
	s, err := c.copier.newSpool()
	if err != nil {
		return nil, err
	}
	return &unpacker{copying: c, root: root, spool: s, origin: c.draft.addOrigin(spoolOrigin{s})}, nil
}

func (u *unpacker) all(ctx context.Context, archive *tar.Reader, h *tar.Header) error {
	for {
		if err := u.member(ctx, archive, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		var err error
		if h, err = archive.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// errOutside is returned for names that lead out of the destination.
var errOutside = errors.New("leads out of the destination")

func (u *unpacker) member(ctx context.Context, archive *tar.Reader, h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean(h.Name)
	if name == ".." || len(name) > 2 && name[:3] == "../" {
		return errOutside
	}
	if name = tree.Clean(name); name == "." {
		return nil // the destination's own facts are not the archive's business
	}
	target, err := u.place(name)
	if err != nil {
		return err
	}
	old, exists, err := u.draft.lstat(target)
	if err != nil {
		return err
	}
	e, err := u.entry(h)
	if err != nil {
		return err
	}
	e.Path = target
	if exists && old.Type == layer.Dir && e.Type != layer.Dir {
		u.draft.remove(target)
	}
	switch {
	case e.Type == layer.Link:
		return u.link(e, h.Linkname)
	case e.Type == layer.Dir && !(exists && old.Type == layer.Dir):
		return u.draft.mkdir(e)
	case e.Type == layer.Regular:
		return u.content(ctx, archive, e)
	}
	_, err = u.draft.put(e, fact{})
	return err
}

// place finds where name is in the draft, making the directories above it that
// the archive did not care to mention: as root's, whatever --chown says.
func (u *unpacker) place(name string) (string, error) {
	parent, err := tree.Resolve(subtree{u.draft, u.root}, layer.Parent(name))
	if err != nil {
		return "", err
	}
	parent = joinRel(u.root, parent)
	if err := u.draft.mkdirAll(parent, dirKind{mode: 0o755, owner: &owner{}, now: u.now}); err != nil {
		return "", err
	}
	return joinRel(parent, layer.Base(name)), nil
}

func (u *unpacker) content(ctx context.Context, archive *tar.Reader, e layer.Entry) error {
	section, err := u.spool.Add(ctx, archive)
	if err != nil {
		return err
	}
	e.Size = section.Size
	_, err = u.draft.put(e, fact{origin: u.origin, offset: section.Offset})
	return err
}

// link makes e.Path another name of what the member linkname has become, or of
// what the image has there. As in tar, all names then have the facts of e.
func (u *unpacker) link(e layer.Entry, linkname string) error {
	first, err := tree.ResolveParent(subtree{u.draft, u.root}, tree.Clean(linkname))
	if err != nil {
		return err
	}
	first = joinRel(u.root, first)
	file, exists, err := u.draft.lstat(first)
	switch {
	case err != nil:
		return err
	case !exists || first == e.Path: // what was at e.Path is gone
		return &fs.PathError{Op: "link", Path: linkname, Err: fs.ErrNotExist}
	case file.Type == layer.Dir:
		return &fs.PathError{Op: "link", Path: linkname, Err: errIsDir}
	}
	i, err := u.draft.copyUp(file)
	if err != nil {
		return err
	}
	file = u.draft.entries[i]
	f := u.draft.group(i)
	if o, ok := u.draft.origins[f.origin].(viewOrigin); ok {
		f.origin = u.draft.addOrigin(viewOrigin{view: o.view, from: o.source(first), to: e.Path})
	}
	file.Path, file.UID, file.GID = e.Path, e.UID, e.GID
	if file.Type != layer.Symlink {
		file.Mode, file.ModTime = e.Mode, e.ModTime
	}
	_, err = u.draft.put(file, f)
	return err
}

// entry turns a header into an entry without path and size.
func (u *unpacker) entry(h *tar.Header) (layer.Entry, error) {
	who := u.who(owner{uint32(h.Uid), uint32(h.Gid)})
	e := layer.Entry{
		Mode: uint32(h.Mode & 0o7777), UID: who.uid, GID: who.gid, ModTime: boundTime(h.ModTime),
		Major: uint32(h.Devmajor), Minor: uint32(h.Devminor),
	}
	if caps, ok := h.PAXRecords["SCHILY.xattr."+capabilities]; ok {
		e.Xattrs = map[string]string{capabilities: caps}
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Type = layer.Regular
	case tar.TypeDir:
		e.Type = layer.Dir
	case tar.TypeSymlink:
		e.Type, e.Linkname = layer.Symlink, h.Linkname
	case tar.TypeLink:
		e.Type = layer.Link
	case tar.TypeChar:
		e.Type = layer.Char
	case tar.TypeBlock:
		e.Type = layer.Block
	case tar.TypeFifo:
		e.Type = layer.Fifo
	default:
		return e, fmt.Errorf("unknown type %q of archive member", h.Typeflag)
	}
	return e, nil
}

// boundTime replaces times that file systems cannot keep by the oldest that
// they can.
func boundTime(t time.Time) time.Time {
	if t.Unix() < 0 {
		return time.Unix(0, 0)
	}
	return t
}

// subtree shows what is below a directory as if that were the root.
type subtree struct {
	draft *draft
	root  string
}

func (s subtree) Lstat(path string) (layer.Entry, error) { return s.draft.Lstat(joinRel(s.root, path)) }

// spoolOrigin has contents one after the other.
type spoolOrigin struct{ spool *spool.Spool }

func (o spoolOrigin) open(_ context.Context, e layer.Entry, f fact) (io.ReadCloser, error) {
	return o.spool.Open(spool.Section{Offset: f.offset, Size: e.Size}), nil
}
