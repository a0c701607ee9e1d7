package snapshot

import (
	"context"
	"strings"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// Known tells what a file had in it before, as far as it is on record. It may
// be asked about any path that was there.
type Known interface {
	// Same reports whether e, a file whose type, mode, owner, size and time
	// are as before, has the content, target and extended attributes that it
	// had before, too. False if that is not known.
	Same(ctx context.Context, e layer.Entry) (bool, error)
}

// Changes is what changed in a tree.
type Changes struct {
	// Entries say it as a layer does.
	Entries []layer.Entry
	// Sockets are the paths of sockets that came. No layer can hold them.
	Sockets []string
}

// Compare returns what changed in the tree root from before to now. Both
// snapshots were taken of root, the second a moment ago.
func Compare(ctx context.Context, root string, before, now *Snapshot, known Known) (*Changes, error) {
	c := &comparer{ctx: ctx, root: root, known: known}
	self, err := c.self(&before.root, &now.root)
	if err != nil {
		return nil, err
	}
	if err := c.nodes(".", before.root.dir.nodes, now.root.dir.nodes); err != nil {
		return nil, err
	}
	entries, _ := c.found.Finish(self)
	return &Changes{Entries: entries, Sockets: c.sockets}, nil
}

type comparer struct {
	ctx   context.Context
	root  string
	known Known
	found scan.Collector

	sockets []string
}

// self returns the entry of the root, nil if it did not change. Its time is
// not a change: every new name in it sets it, and no other builder records it.
func (c *comparer) self(before, now *node) (*layer.Entry, error) {
	was := *before
	was.mtime = now.mtime
	if sameDir(&was, now) {
		return nil, nil
	}
	e, _, err := c.entry(".")
	return &e, err
}

// nodes compares what was in the directory rel with what is in it.
func (c *comparer) nodes(rel string, before, now []node) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	for len(before) > 0 || len(now) > 0 {
		var was, is *node
		switch order(before, now) {
		case -1:
			was, before = &before[0], before[1:]
		case 1:
			is, now = &now[0], now[1:]
		case 0:
			was, before = &before[0], before[1:]
			is, now = &now[0], now[1:]
		}
		if err := c.node(rel, was, is); err != nil {
			return err
		}
	}
	return nil
}

// order says which of two sorted lists has the next name: -1 the first, 1 the
// second, 0 both.
func order(before, now []node) int {
	switch {
	case len(before) == 0:
		return 1
	case len(now) == 0:
		return -1
	}
	return strings.Compare(before[0].name, now[0].name)
}

// node compares one name in the directory in; was or is may be nil.
func (c *comparer) node(in string, was, is *node) error {
	if is != nil && is.isSocket() && (was == nil || !was.isSocket()) {
		c.sockets = append(c.sockets, join(in, is.name))
	}
	switch {
	case is == nil || is.isSocket():
		if was != nil && !was.isSocket() {
			c.found.Marker(layer.Whiteout, join(in, was.name))
		}
		return nil
	case is.isDir():
		return c.dir(join(in, is.name), was, is)
	}
	return c.file(join(in, is.name), was, is)
}

func (c *comparer) dir(rel string, was, is *node) error {
	var old []node
	changed := true
	switch {
	case was == nil || !was.isDir():
	case isAnother(was, is):
		c.found.Marker(layer.Opaque, rel)
	default:
		old, changed = was.dir.nodes, !sameDir(was, is)
	}
	if changed {
		if err := c.add(rel); err != nil {
			return err
		}
	}
	return c.nodes(rel, old, is.dir.nodes)
}

// isAnother reports whether a directory has been deleted and made again: the
// inode's number may be the same then, but not the time of its birth.
func isAnother(was, is *node) bool {
	return was.dev != is.dev || was.ino != is.ino || was.dir.birth != is.dir.birth
}

// sameDir compares everything that a layer says of a directory. Its change
// time says nothing: a mount on it, or a name that came and went, sets it.
func sameDir(was, is *node) bool {
	return was.mode == is.mode && was.uid == is.uid && was.gid == is.gid && was.mtime == is.mtime && was.dir.xattrs == is.dir.xattrs
}

// file compares what is no directory.
func (c *comparer) file(rel string, was, is *node) error {
	if was != nil && isUntouched(was, is) {
		return nil
	}
	e, links, err := c.entry(rel)
	if err != nil {
		return err
	}
	same := false
	if was != nil && looksSame(was, is) {
		if same, err = c.known.Same(c.ctx, e); err != nil {
			return err
		}
	}
	switch {
	case is.isRegular() && links > 1:
		var old *scan.Inode
		if same {
			old = &scan.Inode{Dev: uint64(was.dev), Ino: was.ino}
		}
		c.found.AddLinked(e, scan.Inode{Dev: uint64(is.dev), Ino: is.ino}, old)
	case !same:
		c.found.Add(e)
	}
	return nil
}

// isUntouched reports whether nothing can have happened to a file.
func isUntouched(was, is *node) bool {
	return was.ctime == is.ctime && was.ino == is.ino && was.dev == is.dev && looksSame(was, is)
}

// looksSame compares everything that a layer says of a file and a snapshot
// knows.
func looksSame(was, is *node) bool {
	return was.mode == is.mode && was.uid == is.uid && was.gid == is.gid && was.size == is.size && was.mtime == is.mtime
}

func (c *comparer) add(rel string) error {
	e, _, err := c.entry(rel)
	if err == nil {
		c.found.Add(e)
	}
	return err
}

// entry returns the entry of a file and how many names it has.
func (c *comparer) entry(rel string) (_ layer.Entry, links uint64, err error) {
	file := c.root
	if rel != "." {
		file = join(c.root, rel)
	}
	st, err := scan.Lstat(file)
	if err != nil {
		return layer.Entry{}, 0, err
	}
	e, err := scan.Entry(file, rel, &st)
	return e, uint64(st.Nlink), err
}
