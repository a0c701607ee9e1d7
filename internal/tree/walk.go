package tree

import (
	"errors"
	"io/fs"

	"github.com/kiln-build/kiln/internal/layer"
)

// Walk calls fn for everything below root, in the order of [layer.Compare]. If
// fn returns [fs.SkipDir] for a directory, what is in it is left out.
func Walk(v View, root string, fn func(layer.Entry) error) error {
	entries, err := v.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err := fn(e)
		if errors.Is(err, fs.SkipDir) && e.Type == layer.Dir {
			continue
		}
		if err == nil && e.Type == layer.Dir {
			err = Walk(v, e.Path, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
