package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// Rehearser goes through a process without running one.
type Rehearser interface {
	// Rehearse sets everything up for job, and replaces the directory
	// /rehearsal in its root by an empty one.
	Rehearse(ctx context.Context, job rootfs.Job) (notes []string, err error)
}

// Probe finds out by doing it whether this storage works in the directory dir,
// which is empty and on the store's file system.
func Probe(ctx context.Context, dir string, r Rehearser, userXattr bool) (notes []string, err error) {
	tree := rootfs.Tree{
		Lower: []string{filepath.Join(dir, "lower")}, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"),
		UserXattr: userXattr,
	}
	for _, path := range []string{filepath.Join(tree.Lower[0], "rehearsal"), tree.Upper, tree.Work} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(tree.Lower[0], "rehearsal", "file"), nil, 0o600); err != nil {
		return nil, err
	}
	notes, err = r.Rehearse(ctx, rootfs.Job{Root: tree})
	if err != nil {
		return notes, err
	}
	return notes, checkRehearsal(filepath.Join(tree.Upper, "rehearsal"), userXattr)
}

// checkRehearsal holds that a directory which was deleted and made again is
// marked as one. A file system that cannot keep the mark is mounted all the
// same; only then what was deleted comes back.
func checkRehearsal(dir string, userXattr bool) error {
	st, err := scan.Lstat(dir)
	if err != nil {
		return err
	}
	if !isDir(&st) {
		return errors.New("overlayfs does not make directories again")
	}
	opaque, err := isOpaque(dir, userXattr)
	if err != nil {
		return err
	}
	if !opaque {
		return fmt.Errorf("the file system of %s does not keep the extended attribute %s", dir, mark("opaque", userXattr))
	}
	return nil
}
