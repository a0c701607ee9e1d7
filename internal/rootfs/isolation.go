package rootfs

import (
	"context"

	"github.com/kiln-build/kiln/internal/proc"
)

// Isolation is the half of an engine that runs processes. It knows
// directories, not layers: a storage has laid everything out.
type Isolation interface {
	// Run runs the job's process to its end, as [FS.Run] says. Nothing it
	// mounted, and no place it made to mount on, is left in the job's trees.
	Run(ctx context.Context, job Job) error
}

// Job is one process and what a storage has laid out for it.
type Job struct {
	// Root is the root filesystem.
	Root Tree
	// Process says what runs. Its Mounts are not looked at: those below are
	// what a storage made of them.
	Process proc.Spec
	// Mounts are applied in order.
	Mounts []Mount
}

// Tree is a directory tree made of directories on disk. With Lower it is an
// overlay, writable if there is an Upper; without, it is the directory Upper.
type Tree struct {
	// Lower holds the lower directories of an overlay, the lowest first.
	Lower []string `json:",omitempty"`
	// Upper receives what is written.
	Upper string
	// Work is the work directory of an overlay with an Upper: empty, on the
	// same file system, used once.
	Work string `json:",omitempty"`
	// UserXattr says that the marks of the overlay are user.overlay.*, not
	// trusted.overlay.*.
	UserXattr bool `json:",omitempty"`
}

// Mount is a [proc.Mount] whose layers have become directories.
type Mount struct {
	// Target is absolute inside the root; it is made if it is missing.
	Target string
	// ReadOnly makes writes fail.
	ReadOnly bool
	// Path is a path of the host or, with a Tree, an absolute path in it.
	Path string
	// Tree is the tree that Path is in, nil for the host's.
	Tree *Tree `json:",omitempty"`
	// Tmpfs is an empty file system of its own; Path is empty.
	Tmpfs *proc.Tmpfs `json:",omitempty"`
	// File is a file made for this process; Path is empty.
	File *proc.File `json:",omitempty"`
}
