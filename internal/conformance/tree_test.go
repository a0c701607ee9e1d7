package conformance_test

import (
	"archive/tar"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// A tree is the files of an image: its layers, one over the other. Paths are
// relative, "." is the root.
type tree map[string]*node

// A node is one file; names that are hard links share it.
type node struct {
	kind         byte // of tar
	mode         int64
	uid, gid     int
	mtime        time.Time
	link         string
	major, minor int64
	content      []byte
	xattrs       map[string]string
}

// newTree is the tree of no layers.
func newTree() tree {
	return tree{".": {kind: tar.TypeDir, mode: 0o755}}
}

// flatten gives the tree of the first n layers.
func (img *image) flatten(n int) (tree, error) {
	t := newTree()
	for i, l := range img.layers[:n] {
		if err := t.apply(l); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return t, nil
}

// Names that the OCI image specification gives a meaning (layer.md, Whiteouts).
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// apply changes the tree as a layer says, entry by entry. What a layer deletes
// is of the layers below, never its own.
func (t tree) apply(l imageLayer) error {
	own := make(map[*node]bool)
	return l.entries(func(h *tar.Header, content []byte) error {
		dir, base := path.Split(clean(h.Name))
		dir = t.resolve(clean(dir))
		switch removed, isWhiteout := strings.CutPrefix(base, whiteoutPrefix); {
		case base == opaqueName:
			t.removeBelow(dir, own)
		case isWhiteout:
			gone := path.Join(dir, removed)
			t.removeBelow(gone, own)
			if !own[t[gone]] {
				delete(t, gone)
			}
		default:
			n, err := t.add(h, content)
			own[n] = true
			return err
		}
		return nil
	})
}

// add puts an entry into the tree.
func (t tree) add(h *tar.Header, content []byte) (*node, error) {
	name := clean(h.Name)
	if dir, base := path.Split(name); name != "." {
		name = path.Join(t.resolve(clean(dir)), base)
	}
	t.addParents(name)
	old := t[name]
	if h.Typeflag != tar.TypeDir || old != nil && old.kind != tar.TypeDir {
		t.removeBelow(name, nil)
	}
	if h.Typeflag == tar.TypeLink {
		target, has := t[t.resolveParent(clean(h.Linkname))]
		if !has {
			return nil, fmt.Errorf("hard link to %s, which is not there", h.Linkname)
		}
		t[name] = target
		return target, nil
	}
	n := &node{
		kind: h.Typeflag, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, mtime: h.ModTime,
		link: h.Linkname, major: h.Devmajor, minor: h.Devminor, content: content, xattrs: xattrsOf(h),
	}
	t[name] = n
	return n, nil
}

// addParents makes directories that no layer has an entry for.
func (t tree) addParents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if t[dir] == nil {
			t[dir] = &node{kind: tar.TypeDir, mode: 0o755}
		}
	}
}

func xattrsOf(h *tar.Header) map[string]string {
	xattrs := make(map[string]string)
	for key, value := range h.PAXRecords {
		if name, is := strings.CutPrefix(key, "SCHILY.xattr."); is {
			xattrs[name] = value
		}
	}
	return xattrs
}

// removeBelow removes everything below a directory that is not to be kept.
func (t tree) removeBelow(dir string, keep map[*node]bool) {
	for name, n := range t {
		if below(dir, name) && !keep[n] {
			delete(t, name)
		}
	}
}

// below reports whether a name is below a directory.
func below(dir, name string) bool {
	return dir == "." && name != "." || strings.HasPrefix(name, dir+"/")
}

// clean makes a name relative to the root, which ".." does not leave.
func clean(name string) string {
	if name = path.Clean("/" + name)[1:]; name == "" {
		return "."
	}
	return name
}

// resolve follows the links in a path, the last part included. A path that is
// not there stays what it is.
func (t tree) resolve(name string) string {
	const most = 255 // of links, as many as containerd follows
	for range most {
		next := t.follow(name)
		if next == name {
			break
		}
		name = next
	}
	return name
}

// resolveParent follows the links in all parts of a path but the last.
func (t tree) resolveParent(name string) string {
	if name == "." {
		return name
	}
	return path.Join(t.resolve(clean(path.Dir(name))), path.Base(name))
}

// follow replaces the first part of a path that is a link by its target.
func (t tree) follow(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		at := strings.Join(parts[:i+1], "/")
		n := t[at]
		if n == nil || n.kind != tar.TypeSymlink {
			continue
		}
		target := n.link
		if !path.IsAbs(target) {
			target = path.Dir(at) + "/" + target
		}
		return clean(target + "/" + strings.Join(parts[i+1:], "/"))
	}
	return name
}

// names are the paths of a tree, sorted: a directory before what is in it.
func (t tree) names() []string {
	return slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
}
