package tree

import "github.com/kiln-build/kiln/internal/layer"

// show turns a node into the entry that a View shows: a hard link as the file
// it is, an implied directory with what unpacking would give it.
func (t *Tree) show(n node) layer.Entry {
	if !n.explicit() {
		return layer.Entry{Path: n.path, Type: layer.Dir, Mode: 0o755}
	}
	e := t.indexes[n.layer][n.entry]
	if e.Type != layer.Link {
		return e
	}
	file := t.target(n)
	if !file.explicit() {
		// A link to nothing, in a layer nobody could unpack: an empty file is
		// the harmless way to show it.
		return layer.Entry{Path: e.Path, Type: layer.Regular, Mode: e.Mode, UID: e.UID, GID: e.GID, ModTime: e.ModTime}
	}
	shown := t.indexes[file.layer][file.entry]
	shown.Path = n.path
	if shown.Type != layer.Regular {
		return shown // a second name of a device or a symbolic link
	}
	if first := t.firstName(file); first != n.path {
		shown.Linkname = first
	}
	return shown
}

// target follows a hard link to the entry that holds the content: one of the
// same layer, or, for layers of other builders, what lower layers show there.
// For anything else it returns n. The result is not explicit if there is none.
func (t *Tree) target(n node) node {
	// Each round looks at an entry before the last one or at a lower layer;
	// the bound is for layers that link in a circle.
	for range len(t.layers) + 8 {
		if !n.explicit() {
			return n
		}
		e := &t.indexes[n.layer][n.entry]
		if e.Type != layer.Link {
			return n
		}
		whole := span{n.layer, 0, len(t.indexes[n.layer])}
		if o := t.own(whole, e.Linkname); o.entry >= 0 {
			n = node{path: e.Linkname, layer: n.layer, entry: o.entry}
			continue
		}
		lower := newTree(t.layers[:n.layer], t.indexes[:n.layer], t.contents)
		found, ok := lower.lookup(e.Linkname)
		if !ok {
			break
		}
		n = found
	}
	return node{entry: -1}
}

// linkGroups lists, for each entry that has hard links, the nodes that link to
// it; the key is (layer, entry).
type linkGroups map[[2]int][]node

// firstName returns the first path at which the tree still shows file: its own
// one, or, where that has been replaced by an upper layer, that of a hard link.
func (t *Tree) firstName(file node) string {
	if n, ok := t.lookup(file.path); ok && n == file {
		return file.path
	}
	t.linksOnce.Do(func() { t.links = t.groupLinks() })
	for _, link := range t.links[[2]int{file.layer, file.entry}] {
		if n, ok := t.lookup(link.path); ok && n == link {
			return link.path
		}
	}
	return file.path
}

func (t *Tree) groupLinks() linkGroups {
	groups := make(linkGroups)
	for l, index := range t.indexes {
		for i := range index {
			if index[i].Type != layer.Link {
				continue
			}
			n := node{path: index[i].Path, layer: l, entry: i}
			if file := t.target(n); file.explicit() {
				key := [2]int{file.layer, file.entry}
				groups[key] = append(groups[key], n)
			}
		}
	}
	return groups
}
