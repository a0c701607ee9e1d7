package fill

import (
	"context"
	"errors"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/unpack"
)

// Dir unpacks changes into the directory path, and gives it what they say of
// the root itself.
func Dir(ctx context.Context, path string, changes iter.Seq2[layer.Change, error], o unpack.Options) (err error) {
	root, err := inroot.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	var self layer.Entry
	if err := unpack.Apply(ctx, root, pick(changes, ".", &self), o); err != nil {
		return err
	}
	if self.Type != layer.Dir {
		return nil
	}
	return setRoot(path, self, o)
}

// pick passes changes on and keeps the entry of path.
func pick(changes iter.Seq2[layer.Change, error], path string, entry *layer.Entry) iter.Seq2[layer.Change, error] {
	return func(yield func(layer.Change, error) bool) {
		for c, err := range changes {
			if err == nil && c.Path == path && c.Type == layer.Dir {
				*entry = c.Entry
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func setRoot(path string, e layer.Entry, o unpack.Options) error {
	if !o.SingleID {
		if err := os.Lchown(path, int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	if err := unix.Chmod(path, e.Mode); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	for name, value := range e.Xattrs {
		err := unix.Lsetxattr(path, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return &os.PathError{Op: "set xattr " + name + " of", Path: path, Err: err}
		}
	}
	return os.Chtimes(path, e.ModTime, e.ModTime)
}
