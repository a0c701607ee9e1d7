package layer

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// Delta is what one step changed: a list of entries, and their content read on
// demand. It is the only thing a layer is ever written from.
//
// Entries are sorted by [Compare], name every path once (a Whiteout or Opaque
// marker counts as a path of its own and comes before an entry of the same
// path). A Link points to a Regular entry of the same Delta that comes before
// it: of the names of one file, the first in order holds the content.
type Delta interface {
	// Entries returns all entries. The slice is shared: do not modify it.
	Entries() []Entry
	// Open returns the content of Entries()[i], a regular file, exactly
	// Entries()[i].Size bytes long; the reader fails if the file has changed
	// its size. The caller closes it. Safe for concurrent use.
	Open(ctx context.Context, i int) (io.ReadCloser, error)
	// Stable reports whether Open keeps working until the end of the build.
	// If not, it works until Release.
	Stable() bool
	// Release ends the Delta: it has been written as the layer diffID, or, if
	// diffID is "", writing failed. An engine may keep the files behind the
	// Delta under that name. Called exactly once.
	Release(diffID digest.Digest) error
}

// Empty is the Delta of a step that changed nothing; it is written as a layer
// without entries, as BuildKit does.
type Empty struct{}

// Entries returns nil.
func (Empty) Entries() []Entry { return nil }

// Open panics: there is no entry to open.
func (Empty) Open(context.Context, int) (io.ReadCloser, error) { panic("open entry of an empty delta") }

// Stable reports true.
func (Empty) Stable() bool { return true }

// Release does nothing.
func (Empty) Release(digest.Digest) error { return nil }
