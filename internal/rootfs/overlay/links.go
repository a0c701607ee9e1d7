package overlay

import (
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
)

// linked is a regular file with several names.
type linked struct {
	names []linkName
}

// linkName is one of them.
type linkName struct {
	// entry is its position in differ.entries.
	entry int
	// below is the inode that it names in the stack if it is the same file
	// there, else nil.
	below *inode
}

type inode struct{ dev, ino uint64 }

// visitLinked adds an entry for one name of a file. Whether the file changed
// is known when all its names are: an old name without a change is needed if a
// new one has come.
func (d *differ) visitLinked(rel string, st *unix.Stat_t, beneath *found) error {
	same, err := sameFile(filepath.Join(d.upper, rel), st, beneath)
	if err != nil {
		return err
	}
	name := linkName{entry: len(d.entries)}
	if same {
		name.below = &inode{dev: beneath.st.Dev, ino: beneath.st.Ino}
	}
	l := d.links[st.Ino]
	if l == nil {
		l = &linked{}
		d.links[st.Ino] = l
	}
	l.names = append(l.names, name)
	return d.add(rel, st)
}

// isChange reports whether the names are anything but the same names of the
// same file below.
func (l *linked) isChange() bool {
	for _, name := range l.names {
		if name.below == nil || *name.below != *l.names[0].below {
			return true
		}
	}
	return false
}

// resolveLinks makes links of all names of a file but the first, and takes out
// the entries of those that did not change.
func (d *differ) resolveLinks() {
	unchanged := make(map[int]bool)
	for _, l := range d.links {
		if !l.isChange() {
			for _, name := range l.names {
				unchanged[name.entry] = true
				d.drops = append(d.drops, drop{file: filepath.Join(d.upper, d.entries[name.entry].Path)})
			}
			continue
		}
		first := &d.entries[l.names[0].entry]
		for _, name := range l.names[1:] {
			e := &d.entries[name.entry]
			*e = layer.Entry{
				Path: e.Path, Type: layer.Link, Linkname: first.Path,
				Mode: e.Mode, UID: e.UID, GID: e.GID, ModTime: e.ModTime, Xattrs: e.Xattrs,
			}
		}
	}
	if len(unchanged) == 0 {
		return
	}
	i := -1
	d.entries = slices.DeleteFunc(d.entries, func(layer.Entry) bool {
		i++
		return unchanged[i]
	})
}
