package scan

import (
	"slices"

	"github.com/kiln-build/kiln/internal/layer"
)

// Inode names a file of the host.
type Inode struct{ Dev, Ino uint64 }

// Collector collects the entries of a delta, visited in the order of
// [layer.Compare], and finds the hard links among them.
type Collector struct {
	entries []layer.Entry
	files   map[Inode]*linkedFile
}

// linkedFile is a regular file that may have several names.
type linkedFile struct{ names []linkName }

// linkName is one of them.
type linkName struct {
	// entry is its position in Collector.entries.
	entry int
	// was is the file that the name stood for before, nil unless that was the
	// same in everything that a layer says.
	was *Inode
}

// Add adds the entry of a file.
func (c *Collector) Add(e layer.Entry) { c.entries = append(c.entries, e) }

// Marker adds a Whiteout or an Opaque marker.
func (c *Collector) Marker(t layer.Type, path string) { c.Add(layer.Entry{Path: path, Type: t}) }

// AddLinked adds the entry of one name of the regular file is. If the name
// shows what it showed before, was is the file that it stood for then: whether
// it is part of the delta is only known when all names are, as an old name is
// needed if a new one has come.
func (c *Collector) AddLinked(e layer.Entry, is Inode, was *Inode) {
	if c.files == nil {
		c.files = make(map[Inode]*linkedFile)
	}
	file := c.files[is]
	if file == nil {
		file = &linkedFile{}
		c.files[is] = file
	}
	file.names = append(file.names, linkName{entry: len(c.entries), was: was})
	c.Add(e)
}

// isChange reports whether the names are anything but the same names of one
// file as before.
func (f *linkedFile) isChange() bool {
	for _, name := range f.names {
		if name.was == nil || *name.was != *f.names[0].was {
			return true
		}
	}
	return false
}

// Finish returns the entries: of each file's names the first holds the content,
// the others are links to it. unchanged are the paths given to AddLinked that
// turned out to be no change. root, if not nil, is the entry of ".", which has
// its place in the order like every other path.
func (c *Collector) Finish(root *layer.Entry) (entries []layer.Entry, unchanged []string) {
	drop := make(map[int]bool)
	for _, file := range c.files {
		if file.isChange() {
			c.link(file)
			continue
		}
		for _, name := range file.names {
			drop[name.entry] = true
			unchanged = append(unchanged, c.entries[name.entry].Path)
		}
	}
	if len(drop) > 0 {
		i := -1
		c.entries = slices.DeleteFunc(c.entries, func(layer.Entry) bool {
			i++
			return drop[i]
		})
	}
	if root != nil {
		at, _ := slices.BinarySearchFunc(c.entries, root.Path, func(e layer.Entry, path string) int { return layer.Compare(e.Path, path) })
		c.entries = slices.Insert(c.entries, at, *root)
	}
	return c.entries, unchanged
}

func (c *Collector) link(file *linkedFile) {
	first := c.entries[file.names[0].entry].Path
	for _, name := range file.names[1:] {
		e := &c.entries[name.entry]
		e.Type, e.Size, e.Linkname = layer.Link, 0, first
	}
}
