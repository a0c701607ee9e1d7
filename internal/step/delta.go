package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
)

// delta is what a draft has become.
type delta struct {
	entries []layer.Entry
	facts   []fact
	origins []origin
}

// finish turns the draft into a delta. The draft must not be used afterwards.
func (d *draft) finish() layer.Delta {
	d.at = nil
	if d.dead > 0 {
		d.sweep()
	}
	d.mark()
	done := &delta{entries: d.entries, facts: d.facts, origins: d.origins}
	if !sort.IsSorted(done) {
		sort.Stable(done)
	}
	done.link(d.groups)
	return done
}

// sweep drops what was removed.
func (d *draft) sweep() {
	kept := 0
	for i := range d.entries {
		if d.facts[i].flags&removed == 0 {
			d.entries[kept], d.facts[kept] = d.entries[i], d.facts[i]
			kept++
		}
	}
	clear(d.entries[kept:])
	d.entries, d.facts = d.entries[:kept], d.facts[:kept]
}

// mark adds the markers of directories that hide those of the base.
func (d *draft) mark() {
	for i := range d.entries {
		if d.facts[i].flags&opaque != 0 && d.entries[i].Type == layer.Dir {
			d.entries = append(d.entries, layer.Entry{Path: d.entries[i].Path, Type: layer.Opaque})
			d.facts = append(d.facts, fact{})
		}
	}
}

// Len, Less and Swap sort entries and facts together, as a Delta has to be.
func (d *delta) Len() int { return len(d.entries) }

func (d *delta) Less(i, j int) bool {
	if c := layer.Compare(d.entries[i].Path, d.entries[j].Path); c != 0 {
		return c < 0
	}
	return d.entries[i].Type == layer.Opaque && d.entries[j].Type != layer.Opaque
}

func (d *delta) Swap(i, j int) {
	d.entries[i], d.entries[j] = d.entries[j], d.entries[i]
	d.facts[i], d.facts[j] = d.facts[j], d.facts[i]
}

// link turns all names of a file but the first into hard links.
func (d *delta) link(groups []inode) {
	first := make(map[uint32]string)
	for i := range d.entries {
		e, group := &d.entries[i], d.facts[i].group
		if group == 0 || e.Type == layer.Dir {
			continue
		}
		file := &groups[group-1]
		e.Mode, e.UID, e.GID, e.ModTime = file.mode, file.owner.uid, file.owner.gid, file.modTime
		if e.Type != layer.Regular {
			continue
		}
		if path, ok := first[group]; ok {
			e.Type, e.Size, e.Linkname = layer.Link, 0, path
		} else {
			first[group] = e.Path
		}
	}
}

// Entries implements [layer.Delta].
func (d *delta) Entries() []layer.Entry { return d.entries }

// Open implements [layer.Delta].
func (d *delta) Open(ctx context.Context, i int) (io.ReadCloser, error) {
	e, f := d.entries[i], d.facts[i]
	return d.origins[f.origin].open(ctx, e, f)
}

// Stable implements [layer.Delta]: source trees, layers and spools stay as they
// are until the end of the build.
func (d *delta) Stable() bool { return true }

// Release implements [layer.Delta].
func (d *delta) Release(digest.Digest) error { return nil }

// exactReader fails if a file, which is not kiln's, has another size than its
// entry says.
type exactReader struct {
	io.ReadCloser
	path string
	left int64
}

var errChanged = errors.New("file changed its size while it was copied")

func (r *exactReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.left -= int64(n)
	if r.left < 0 || errors.Is(err, io.EOF) && r.left > 0 {
		return n, fmt.Errorf("read %s: %w", r.path, errChanged)
	}
	return n, err
}
