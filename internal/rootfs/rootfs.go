package rootfs

import (
	"context"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
)

// Engine makes root filesystems out of layers.
type Engine interface {
	// Name is the engine's name as --engine takes it.
	Name() string
	// Parallel reports whether several root filesystems can be open at once.
	Parallel() bool
	// Open returns a root filesystem that shows the layers base, the lowest
	// first. No layers is an empty root.
	Open(ctx context.Context, base []*layer.Layer) (FS, error)
}

// FS is one mutable root filesystem. It is not safe for concurrent use.
type FS interface {
	// Apply puts a layer made elsewhere (a COPY) on top, for later Runs to
	// see. What was changed before it has to be taken by Diff first.
	Apply(ctx context.Context, l *layer.Layer) error
	// Run runs one process to its end, and ends what it left running. A
	// process that ran and failed is a *proc.ExitError. When ctx is cancelled
	// everything it started is killed and reaped before Run returns.
	Run(ctx context.Context, p proc.Spec) error
	// Diff returns what Run changed since Open, Apply or the last Diff. The
	// layer written from the result is on top of this FS from then on; it need
	// not be applied.
	Diff(ctx context.Context) (layer.Delta, error)
	// Close unmounts and removes what only this FS needed. Deltas that are
	// stable stay readable.
	Close() error
}
