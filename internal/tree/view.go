package tree

import (
	"context"
	"io"

	"github.com/kiln-build/kiln/internal/layer"
)

// View is a read-only file system whose facts are at hand and whose content
// may have to be fetched. Paths are those of [layer.Entry]: relative, clean,
// "." for the root; no component but the last is a symbolic link ([Resolve]
// makes such paths). Safe for concurrent use.
type View interface {
	// Lstat describes path without following it; the error is fs.ErrNotExist
	// if there is nothing. A Link entry is shown as the Regular file it is,
	// with Linkname naming the first name of the same file; for that name
	// itself Linkname may be empty or name itself.
	Lstat(path string) (layer.Entry, error)
	// ReadDir describes what is in the directory path, sorted by name.
	ReadDir(path string) ([]layer.Entry, error)
	// Open returns the content of the regular file path. The caller closes it.
	Open(ctx context.Context, path string) (io.ReadCloser, error)
}
