package rootfstest

import (
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
)

// when is the time of all files in layers that tests make.
func when() time.Time { return time.Unix(1_600_000_000, 0) }

// TreeFile is a file of a layer that a test makes.
type TreeFile struct {
	layer.Entry
	content string
}

// Tree is the files of a layer in any order.
type Tree []TreeFile

// Dir is a directory.
func Dir(path string, mode uint32) TreeFile {
	return TreeFile{Entry: layer.Entry{Path: path, Type: layer.Dir, Mode: mode, ModTime: when()}}
}

// File is a regular file.
func File(path string, mode uint32, content string) TreeFile {
	return TreeFile{content: content, Entry: layer.Entry{
		Path: path, Type: layer.Regular, Mode: mode, Size: int64(len(content)), ModTime: when(),
	}}
}

// Symlink is a symbolic link.
func Symlink(path, target string) TreeFile {
	return TreeFile{Entry: layer.Entry{Path: path, Type: layer.Symlink, Mode: 0o777, Linkname: target, ModTime: when()}}
}

// Link is a hard link.
func Link(path, target string) TreeFile {
	return TreeFile{Entry: layer.Entry{Path: path, Type: layer.Link, Linkname: target, ModTime: when()}}
}

// Gone is a whiteout.
func Gone(path string) TreeFile {
	return TreeFile{Entry: layer.Entry{Path: path, Type: layer.Whiteout}}
}

// Opaque marks a directory that hides what was there.
func Opaque(path string) TreeFile {
	return TreeFile{Entry: layer.Entry{Path: path, Type: layer.Opaque}}
}

// Owned gives f an owner.
func Owned(f TreeFile, uid, gid uint32) TreeFile {
	f.UID, f.GID = uid, gid
	return f
}

// WithXattr gives f an extended attribute.
func WithXattr(f TreeFile, name, value string) TreeFile {
	f.Xattrs = map[string]string{name: value}
	return f
}

// treeDelta is a Delta with its content in memory.
type treeDelta struct {
	entries []layer.Entry
	files   []TreeFile
}

func newTreeDelta(files []TreeFile) *treeDelta {
	d := &treeDelta{files: slices.Clone(files)}
	slices.SortStableFunc(d.files, func(a, b TreeFile) int { return layer.Compare(a.Path, b.Path) })
	for _, f := range d.files {
		d.entries = append(d.entries, f.Entry)
	}
	return d
}

// Entries implements [layer.Delta].
func (d *treeDelta) Entries() []layer.Entry { return d.entries }

// Open implements [layer.Delta].
func (d *treeDelta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(d.files[i].content)), nil
}

// Stable implements [layer.Delta].
func (d *treeDelta) Stable() bool { return true }

// Release implements [layer.Delta].
func (d *treeDelta) Release(digest.Digest) error { return nil }

func keys(m map[string]string) iter.Seq[string] { return maps.Keys(m) }
