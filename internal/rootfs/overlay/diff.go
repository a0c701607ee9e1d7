package overlay

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// changes is what an upper directory says beyond the stack below it.
type changes struct {
	entries []layer.Entry
	// implied are the directories in upper that entries do not name.
	implied []string
}

// differ walks an upper directory.
type differ struct {
	ctx       context.Context
	upper     string
	userXattr bool

	found   scan.Collector
	implied []string
	// drops are paths in upper that are no change; left there they would hide
	// what another stack has in their place.
	drops []drop
}

// drop is a file in upper to be removed, or replaced by a whiteout.
type drop struct {
	file     string
	whiteout bool
}

// diff returns what upper changes, and removes from it what is no change.
// Nothing is mounted, so nothing changes meanwhile.
func diff(ctx context.Context, below *stack, upper *layerDir) (changes, error) {
	d := &differ{ctx: ctx, upper: upper.diff(), userXattr: below.userXattr}
	root, err := d.root(below)
	if err != nil {
		return changes{}, err
	}
	if err := d.walk(".", below.root()); err != nil {
		return changes{}, err
	}
	entries, unchanged := d.found.Finish(root)
	for _, rel := range unchanged {
		d.drops = append(d.drops, drop{file: filepath.Join(d.upper, rel)})
	}
	if err := d.tidy(); err != nil {
		return changes{}, fmt.Errorf("tidy upper directory: %w", err)
	}
	slices.SortFunc(d.implied, layer.Compare)
	return changes{entries: entries, implied: d.implied}, nil
}

// root returns the entry of the root, nil if it did not change. Its time is not
// a change: every new name in it sets it, and no other builder records it.
func (d *differ) root(below *stack) (*layer.Entry, error) {
	_, meant, err := below.attributes(".")
	if err != nil {
		return nil, err
	}
	st, err := scan.Lstat(d.upper)
	if err != nil {
		return nil, err
	}
	was, err := scan.Lstat(meant)
	if err != nil {
		return nil, err
	}
	was.Mtim = st.Mtim
	same, err := sameDir(d.upper, &st, meant, &was)
	if err != nil {
		return nil, err
	}
	if same {
		d.implied = append(d.implied, ".")
		return nil, nil
	}
	e, err := scan.Entry(d.upper, ".", &st)
	return &e, err
}

// walk visits what is in the directory rel, which is over lower.
func (d *differ) walk(rel string, lower view) error {
	if err := d.ctx.Err(); err != nil {
		return context.Cause(d.ctx)
	}
	names, err := scan.Names(filepath.Join(d.upper, rel))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.visit(filepath.Join(rel, name), name, lower); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) visit(rel, name string, lower view) error {
	file := filepath.Join(d.upper, rel)
	st, err := scan.Lstat(file)
	if err != nil {
		return err
	}
	beneath, sub, err := lower.lookup(name)
	if err != nil {
		return err
	}
	gone, err := isWhiteout(file, &st, d.userXattr)
	switch {
	case err != nil:
		return err
	case gone:
		d.whiteout(rel, beneath)
		return nil
	case isSocket(&st):
		d.whiteout(rel, beneath)
		d.drops = append(d.drops, drop{file: file, whiteout: beneath != nil})
		return nil
	case isDir(&st):
		return d.visitDir(rel, &st, beneath, sub)
	}
	return d.visitFile(rel, &st, beneath)
}

// whiteout says that rel is gone, if it was there.
func (d *differ) whiteout(rel string, beneath *found) {
	if beneath != nil {
		d.found.Marker(layer.Whiteout, rel)
	}
}

func (d *differ) visitDir(rel string, st *unix.Stat_t, beneath *found, sub view) error {
	file := filepath.Join(d.upper, rel)
	same := false
	if beneath != nil && isDir(&beneath.st) {
		opaque, err := isOpaque(file, d.userXattr)
		if err != nil {
			return err
		}
		if opaque {
			d.found.Marker(layer.Opaque, rel)
			sub = view{}
		} else if same, err = sameDir(file, st, beneath.file(), &beneath.st); err != nil {
			return err
		}
	}
	if same {
		d.implied = append(d.implied, rel)
	} else if err := d.add(rel, st); err != nil {
		return err
	}
	return d.walk(rel, sub)
}

// add adds the entry of rel.
func (d *differ) add(rel string, st *unix.Stat_t) error {
	e, err := scan.Entry(filepath.Join(d.upper, rel), rel, st)
	if err == nil {
		d.found.Add(e)
	}
	return err
}

func (d *differ) visitFile(rel string, st *unix.Stat_t, beneath *found) error {
	file := filepath.Join(d.upper, rel)
	same, err := sameFile(file, st, beneath)
	if err != nil {
		return err
	}
	if isRegular(st) && st.Nlink > 1 {
		return d.addLinked(rel, st, beneath, same)
	}
	if same {
		d.drops = append(d.drops, drop{file: file})
		return nil
	}
	return d.add(rel, st)
}

// addLinked adds the entry of one of several names.
func (d *differ) addLinked(rel string, st *unix.Stat_t, beneath *found, same bool) error {
	e, err := scan.Entry(filepath.Join(d.upper, rel), rel, st)
	if err != nil {
		return err
	}
	var was *scan.Inode
	if same {
		was = &scan.Inode{Dev: beneath.st.Dev, Ino: beneath.st.Ino}
	}
	d.found.AddLinked(e, scan.Inode{Dev: st.Dev, Ino: st.Ino}, was)
	return nil
}

// sameDir compares everything that a layer says of a directory.
func sameDir(a string, sa *unix.Stat_t, b string, sb *unix.Stat_t) (bool, error) {
	if sa.Mode != sb.Mode || sa.Uid != sb.Uid || sa.Gid != sb.Gid || sa.Mtim != sb.Mtim {
		return false, nil
	}
	return sameXattrs(a, b)
}

// sameFile compares everything that a layer says of a file that is no
// directory: overlayfs copies a file up when it is opened for writing, or given
// the mode it has, and that alone is no change.
func sameFile(file string, st *unix.Stat_t, beneath *found) (bool, error) {
	if beneath == nil {
		return false, nil
	}
	b := &beneath.st
	if st.Mode != b.Mode || st.Uid != b.Uid || st.Gid != b.Gid || st.Rdev != b.Rdev || st.Size != b.Size || st.Mtim != b.Mtim {
		return false, nil
	}
	if same, err := sameXattrs(file, beneath.file()); err != nil || !same {
		return false, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return scan.SameContent(file, beneath.file())
	case unix.S_IFLNK:
		return sameTarget(file, beneath.file())
	}
	return true, nil
}

func sameTarget(a, b string) (bool, error) {
	ta, err := os.Readlink(a)
	if err != nil {
		return false, err
	}
	tb, err := os.Readlink(b)
	return ta == tb, err
}

// tidy does the drops. Directories keep their times.
func (d *differ) tidy() error {
	for _, drop := range d.drops {
		err := scan.KeepTimes(filepath.Dir(drop.file), func() error {
			if err := os.Remove(drop.file); err != nil || !drop.whiteout {
				return err
			}
			return unix.Mknod(drop.file, unix.S_IFCHR, 0)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
