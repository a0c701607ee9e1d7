package dir

import (
	"context"

	"github.com/kiln-build/kiln/internal/rootfs"
)

// Rehearser goes through a process without running one.
type Rehearser interface {
	// Rehearse sets everything up for job.
	Rehearse(ctx context.Context, job rootfs.Job) (notes []string, err error)
}

// Probe finds out by doing it whether processes can be run in dir, which is
// empty.
func Probe(ctx context.Context, dir string, r Rehearser) (notes []string, err error) {
	return r.Rehearse(ctx, rootfs.Job{Root: rootfs.Tree{Upper: dir}})
}
