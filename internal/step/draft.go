package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// errNotDir and errIsDir are what a real file system would say.
var (
	errNotDir = errors.New("not a directory")
	errIsDir  = errors.New("is a directory")
)

// whiteoutPrefix marks deletions in a layer's tar (OCI image layer
// specification), so no file can have a name like that.
const whiteoutPrefix = ".wh."

// draft is a file system that is being changed: the image as it is so far, and
// on top of it what a step puts there. The changes become a [layer.Delta].
type draft struct {
	base    tree.View
	entries []layer.Entry
	facts   []fact           // of entries
	at      map[string]int32 // path -> entries
	origins []origin
	gone    map[string]bool // what was removed to make place
	groups  []inode         // of files with several names, by group number less one
	dead    int             // entries that were removed again
}

// fact is what a draft knows of an entry besides.
type fact struct {
	origin uint32 // in origins, for the content of a regular file
	group  uint32 // not 0: the file's names, which have the same number
	offset int64  // for the origin
	flags  flags
}

// inode is what all names of a file share: the facts of the one put last.
type inode struct {
	mode    uint32
	owner   owner
	modTime time.Time
}

type flags uint8

const (
	// fresh marks a directory that was made here: nothing of the base is in it.
	fresh flags = 1 << iota
	// opaque marks one that hides a directory of the base.
	opaque
	// removed marks an entry that is no longer there.
	removed
)

// origin knows where the contents of entries are.
type origin interface {
	open(ctx context.Context, e layer.Entry, f fact) (io.ReadCloser, error)
}

// newDraft returns a draft on base with room for so many entries.
func newDraft(base tree.View, room int) *draft {
	return &draft{
		base:    base,
		entries: make([]layer.Entry, 0, room), facts: make([]fact, 0, room),
		at: make(map[string]int32, room),
	}
}

// Lstat describes path as it is now, so that links are resolved through what
// the step itself has put there.
func (d *draft) Lstat(path string) (layer.Entry, error) {
	e, exists, err := d.lstat(path)
	if err == nil && !exists {
		err = &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
	}
	return e, err
}

// lstat is Lstat with absence as an ordinary answer.
func (d *draft) lstat(path string) (e layer.Entry, exists bool, err error) {
	if i, ok := d.at[path]; ok {
		return d.entries[i], true, nil
	}
	if d.gone[path] || d.hidesBase(path) {
		return layer.Entry{}, false, nil
	}
	e, err = d.base.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return layer.Entry{}, false, nil
	}
	return e, err == nil, err
}

// hidesBase reports whether the base's path lies under something that the
// draft has put there: then it is not to be seen.
func (d *draft) hidesBase(path string) bool {
	for path != "." {
		path = layer.Parent(path)
		if i, ok := d.at[path]; ok {
			return d.entries[i].Type != layer.Dir || d.facts[i].flags&fresh != 0
		}
	}
	return false
}

// addOrigin makes o known.
func (d *draft) addOrigin(o origin) uint32 {
	d.origins = append(d.origins, o)
	return uint32(len(d.origins) - 1)
}

// originOf returns where entry i has its content.
func (d *draft) originOf(i int) origin {
	if len(d.origins) == 0 {
		return nil
	}
	return d.origins[d.facts[i].origin]
}

// copyUp makes e, which may be in the base only, an entry of the draft.
func (d *draft) copyUp(e layer.Entry) (int32, error) {
	if i, ok := d.at[e.Path]; ok {
		return i, nil
	}
	if e.Type == layer.Regular {
		e.Linkname = ""
	}
	o := viewOrigin{view: d.base, from: e.Path, to: e.Path}
	return d.put(e, fact{origin: d.addOrigin(o)})
}

// group gives entry i a group, if it has none, and returns the facts that
// another name of the same file has.
func (d *draft) group(i int32) fact {
	f := &d.facts[i]
	if f.group == 0 {
		e := &d.entries[i]
		d.groups = append(d.groups, inode{e.Mode, owner{e.UID, e.GID}, e.ModTime})
		f.group = uint32(len(d.groups))
	}
	return fact{origin: f.origin, offset: f.offset, group: f.group}
}

// put places e, over whatever is at its path; for a directory that exists it
// changes the facts only. It returns the number of the entry.
func (d *draft) put(e layer.Entry, f fact) (int32, error) {
	if strings.HasPrefix(layer.Base(e.Path), whiteoutPrefix) {
		return 0, fmt.Errorf("a layer cannot hold %s: a name that starts with %s means a deletion", e.Path, whiteoutPrefix)
	}
	if e.Type != layer.Regular {
		e.Size = 0
	}
	if f.group != 0 {
		d.groups[f.group-1] = inode{e.Mode, owner{e.UID, e.GID}, e.ModTime}
	}
	if i, ok := d.at[e.Path]; ok {
		f.flags |= d.facts[i].flags & (fresh | opaque)
		d.entries[i], d.facts[i] = e, f
		return i, nil
	}
	i := int32(len(d.entries))
	d.entries, d.facts = append(d.entries, e), append(d.facts, f)
	d.at[e.Path] = i
	return i, nil
}

// mkdir makes a directory that does not exist.
func (d *draft) mkdir(e layer.Entry) error {
	f := fact{flags: fresh}
	if d.gone[e.Path] {
		f.flags |= opaque
	}
	_, err := d.put(e, f)
	return err
}

// remove takes away path and all below it, to make place for something else
// that is put there next.
func (d *draft) remove(path string) {
	for i := range d.entries {
		p := d.entries[i].Path
		if d.facts[i].flags&removed == 0 && (p == path || isBelow(p, path)) {
			d.facts[i].flags |= removed
			delete(d.at, p)
			d.dead++
		}
	}
	if d.gone == nil {
		d.gone = make(map[string]bool)
	}
	d.gone[path] = true
}

// mkdirAll makes dir and what is missing above it. dir has been resolved: there
// are no links in it.
func (d *draft) mkdirAll(dir string, kind dirKind) error {
	if dir == "." {
		return nil
	}
	e, exists, err := d.lstat(dir)
	if err != nil {
		return err
	}
	if exists {
		if e.Type != layer.Dir {
			return &fs.PathError{Op: "mkdir", Path: "/" + dir, Err: errNotDir}
		}
		return nil
	}
	parent := layer.Parent(dir)
	if err := d.mkdirAll(parent, kind); err != nil {
		return err
	}
	in, _, err := d.lstat(parent)
	if err != nil {
		return err
	}
	return d.mkdir(kind.entry(dir, in))
}

// dirKind is the kind of directories that are made on the way.
type dirKind struct {
	mode  uint32
	owner *owner // nil for that of the process, root
	now   time.Time
}

// entry describes the directory path made inside of parent. As mkdir(2) has it,
// which BuildKit makes them with, the set-group-ID bit is inherited, and with it
// the group, unless an owner is given.
func (k dirKind) entry(path string, parent layer.Entry) layer.Entry {
	e := layer.Entry{Path: path, Type: layer.Dir, Mode: k.mode & layer.ModePerm, ModTime: k.now}
	if parent.Mode&layer.ModeSetgid != 0 {
		e.Mode |= layer.ModeSetgid
		e.GID = parent.GID
	}
	if k.owner != nil {
		e.UID, e.GID = k.owner.uid, k.owner.gid
	}
	return e
}

// isBelow reports whether path is below dir.
func isBelow(path, dir string) bool {
	if dir == "." {
		return path != "."
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}
