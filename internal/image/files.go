package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
	"github.com/kiln-build/kiln/internal/unpack"
)

// WriteTar writes what view shows as one tar: --output type=tar.
func WriteTar(ctx context.Context, w io.Writer, view tree.View) error {
	files, err := flatten(view)
	if err != nil {
		return err
	}
	return layer.WriteTar(ctx, w, files)
}

// WriteFiles writes what view shows into the directory dir: --output
// type=local. As with BuildKit everything belongs to whoever runs kiln, and
// has no extended attributes. A new directory appears when it is complete; into
// one that is there the files are put one by one, and what else it holds stays.
func WriteFiles(ctx context.Context, dir string, view tree.View) error {
	files, err := flatten(view)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return files.unpack(ctx, dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".")
	if err != nil {
		return err
	}
	if err = files.unpack(ctx, tmp); err == nil {
		err = errors.Join(os.Chmod(tmp, 0o755), os.Rename(tmp, dir))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

// unpack writes the files into a directory that is there.
func (d *flat) unpack(ctx context.Context, dir string) (err error) {
	root, err := inroot.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := d.fits(root); err != nil {
		return err
	}
	err = unpack.Apply(ctx, root, layer.DeltaChanges(ctx, ofOneUser{d}), unpack.Options{SingleID: true})
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w (a tar can hold what an ordinary user cannot make: -o type=tar)", err)
	}
	return err
}

// fits refuses to put a file where there is a directory: what is in it is
// somebody's, and would be lost.
func (d *flat) fits(root *inroot.Root) error {
	for i := range d.entries {
		e := &d.entries[i]
		if e.Type == layer.Dir {
			continue
		}
		st, err := root.Lstat(e.Path)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return fmt.Errorf("%s is a directory, and a file in the image; remove it first", e.Path)
		}
	}
	return nil
}

// ofOneUser shows files as if all were of the user 0, who is whoever runs kiln.
type ofOneUser struct{ *flat }

// Entries implements layer.Delta.
func (d ofOneUser) Entries() []layer.Entry {
	entries := slices.Clone(d.entries)
	for i := range entries {
		entries[i].UID, entries[i].GID, entries[i].Xattrs = 0, 0, nil
	}
	return entries
}
