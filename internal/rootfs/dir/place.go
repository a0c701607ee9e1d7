package dir

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/snapshot"
)

// Place is the directory that one root filesystem is in while it is open.
type Place struct {
	// Root is the directory: empty at first, but for what Skip names.
	Root string
	// Skip names what is in Root and not part of the root filesystem.
	Skip snapshot.Skip
	// Pick leaves out of a layer's changes what would get in the way of what
	// Skip names; nil leaves all in.
	Pick func(context.Context, iter.Seq2[layer.Change, error]) iter.Seq2[layer.Change, error]
	// Scratch is a directory for what else is needed, on the file system of
	// Root.
	Scratch string
	// Leave gives the place back, with all that is in it. It is called once.
	Leave func() error
}

// newPlace is a directory of the store's, used once.
func newPlace(_ context.Context, s Store) (_ Place, err error) {
	scratch, err := s.Scratch()
	if err != nil {
		return Place{}, err
	}
	root := filepath.Join(scratch, "root")
	if err := makeDir(root); err != nil {
		return Place{}, errors.Join(err, os.RemoveAll(scratch))
	}
	return Place{Root: root, Scratch: scratch, Leave: func() error {
		if err := os.RemoveAll(scratch); err != nil {
			return fmt.Errorf("remove root filesystem: %w", err)
		}
		return nil
	}}, nil
}

// makeDir makes a directory that everyone can enter, whatever the umask.
func makeDir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}
