package tree

import (
	"errors"
	"io/fs"
	"slices"
	"sort"
	"strings"

	"github.com/kiln-build/kiln/internal/layer"
)

var (
	errNotRegular = errors.New("not a regular file")
	errNotDir     = errors.New("not a directory")
)

func notExist(op, path string) error {
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// node is what the tree shows at one path: an entry of a layer, or, where
// entry is negative, a directory that layers only imply by what they put in it.
type node struct {
	path  string
	layer int
	entry int
}

func (n node) explicit() bool { return n.entry >= 0 }

// dir is what is known of one directory: which parts of which layers show
// through in it. Everything of a layer below one path is contiguous in its
// index, so a part is a range, and looking for a name in a directory searches
// the ranges only, not the layers.
type dir struct {
	node
	spans []span // the topmost layer first
}

// span is a range of a layer's index.
type span struct{ layer, lo, hi int }

// dir returns the directory path, nil if there is none. Both answers are
// remembered.
func (t *Tree) dir(path string) *dir {
	t.mu.Lock()
	d, known := t.dirs[path]
	t.mu.Unlock()
	if known {
		return d
	}
	if path == "." {
		d = t.root()
	} else if parent := t.dir(layer.Parent(path)); parent != nil {
		_, d, _ = t.find(parent, path)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirs[path] = d
	return d
}

// root returns the directory ".". A layer may hold an entry for it, and an
// opaque marker that hides all of the layers below.
func (t *Tree) root() *dir {
	d := &dir{node: node{path: ".", entry: -1}}
	for i := len(t.indexes) - 1; i >= 0; i-- {
		index := t.indexes[i]
		own := t.own(span{i, 0, len(index)}, ".")
		if own.entry >= 0 && !d.explicit() {
			d.layer, d.entry = i, own.entry
		}
		d.spans = append(d.spans, span{i, 0, len(index)})
		if own.opaque || own.whiteout {
			break
		}
	}
	return d
}

// lookup finds what the tree shows at path.
func (t *Tree) lookup(path string) (node, bool) {
	if path == "." {
		return t.dir(".").node, true
	}
	parent := t.dir(layer.Parent(path))
	if parent == nil {
		return node{}, false
	}
	n, _, ok := t.find(parent, path)
	return n, ok
}

// own is what one layer says about one path.
type own struct {
	entry            int // index of the entry, -1 for none
	whiteout, opaque bool
	below            span // what the layer has below the path
}

// find looks for path in the directory that holds it, in one layer after the
// other from the top. d is non-nil if path is a directory.
func (t *Tree) find(parent *dir, path string) (n node, d *dir, ok bool) {
	n = node{path: path, entry: -1}
	var spans []span
	for _, s := range parent.spans {
		o := t.own(s, path)
		if o.entry >= 0 && t.indexes[s.layer][o.entry].Type != layer.Dir {
			if !ok {
				n.layer, n.entry = s.layer, o.entry
				return n, nil, true
			}
			break // a directory above has taken its place
		}
		if o.entry >= 0 || o.below.lo < o.below.hi {
			if o.entry >= 0 && !n.explicit() {
				n.layer, n.entry = s.layer, o.entry
			}
			spans, ok = append(spans, o.below), true
		}
		if o.whiteout || o.opaque {
			break
		}
	}
	if !ok {
		return node{}, nil, false
	}
	return n, &dir{node: n, spans: spans}, true
}

// own searches the range s for what its layer says about path.
func (t *Tree) own(s span, path string) own {
	index := t.indexes[s.layer]
	i := s.lo + sort.Search(s.hi-s.lo, func(i int) bool { return layer.Compare(index[s.lo+i].Path, path) >= 0 })
	o := own{entry: -1}
	for ; i < s.hi && index[i].Path == path; i++ {
		switch index[i].Type {
		case layer.Whiteout:
			o.whiteout = true
		case layer.Opaque:
			o.opaque = true
		default:
			o.entry = i
		}
	}
	o.below = span{s.layer, i, i}
	if path != "." && i < s.hi && isBelow(index[i].Path, path) {
		o.below.hi = i + sort.Search(s.hi-i, func(j int) bool { return !isBelow(index[i+j].Path, path) })
	}
	return o
}

// isBelow reports whether path is below dir.
func isBelow(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}

// children lists what is in a directory, sorted by name.
func (t *Tree) children(d *dir) []node {
	var paths []string
	for _, s := range d.spans {
		paths = t.names(paths, d.path, s)
	}
	slices.SortFunc(paths, layer.Compare)
	paths = slices.Compact(paths)
	nodes := make([]node, 0, len(paths))
	for _, path := range paths {
		if n, _, ok := t.find(d, path); ok {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// names appends the paths of what is directly in dir according to s. Whole
// subtrees are skipped over by binary search.
func (t *Tree) names(paths []string, dir string, s span) []string {
	index := t.indexes[s.layer]
	for i := s.lo; i < s.hi; {
		path := index[i].Path
		if path == "." {
			i++
			continue
		}
		child := childOf(path, dir)
		paths = append(paths, child)
		i++
		if i == s.hi || !(index[i].Path == child || isBelow(index[i].Path, child)) {
			continue
		}
		i += sort.Search(s.hi-i, func(j int) bool {
			return !(index[i+j].Path == child || isBelow(index[i+j].Path, child))
		})
	}
	return paths
}

// childOf cuts path off after the first element below dir.
func childOf(path, dir string) string {
	start := len(dir) + 1
	if dir == "." {
		start = 0
	}
	if i := strings.IndexByte(path[start:], '/'); i >= 0 {
		return path[:start+i]
	}
	return path
}
