package inplace

import (
	"context"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/snapshot"
)

// protected names what is not part of the root filesystem: paths as
// [layer.Entry] has them, each with all that is below it.
type protected struct {
	paths []string
	exact map[string]bool
	// above are the directories that the paths are in, at any depth.
	above map[string]bool
}

// kernelPaths are left alone wherever they are, mounted on or not.
func kernelPaths() []string { return []string{"proc", "sys", "dev"} }

// protect returns what must not be touched below root: what is mounted there,
// the kernel's directories, and keep, which are absolute.
func protect(root string, keep []string) (*protected, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	paths := kernelPaths()
	for _, m := range mounts {
		paths = append(paths, below(root, m.Mountpoint)...)
	}
	for _, path := range keep {
		paths = append(paths, below(root, path)...)
		if real, err := filepath.EvalSymlinks(path); err == nil {
			paths = append(paths, below(root, real)...)
		}
	}
	return newProtected(paths), nil
}

// below returns path relative to root, nothing if it is root or not in it.
func below(root, path string) []string {
	rel, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
	if !ok || rel == "" {
		return nil
	}
	return []string{rel}
}

func newProtected(paths []string) *protected {
	slices.SortFunc(paths, layer.Compare)
	p := &protected{exact: make(map[string]bool), above: make(map[string]bool)}
	for _, path := range paths {
		if p.covers(path) {
			continue
		}
		p.paths = append(p.paths, path)
		p.exact[path] = true
		for dir := layer.Parent(path); dir != "."; dir = layer.Parent(dir) {
			p.above[dir] = true
		}
	}
	return p
}

// covers reports whether path is one of the paths, or below one.
func (p *protected) covers(path string) bool {
	for ; path != "."; path = layer.Parent(path) {
		if p.exact[path] {
			return true
		}
	}
	return false
}

// skip is what a snapshot leaves alone.
func (p *protected) skip() snapshot.Skip { return snapshot.NewSkip(p.paths...) }

// pick leaves out of a layer's changes what is, or would take the place of,
// something protected. A base image may ship a link or a file where the
// container has a directory with something mounted in it: the directory stays.
func (p *protected) pick(_ context.Context, changes iter.Seq2[layer.Change, error]) iter.Seq2[layer.Change, error] {
	return func(yield func(layer.Change, error) bool) {
		for c, err := range changes {
			if err == nil && !p.lets(c.Entry) {
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (p *protected) lets(e layer.Entry) bool {
	if p.covers(e.Path) || e.Type == layer.Link && p.covers(e.Linkname) {
		return false
	}
	return e.Type == layer.Dir || !p.above[e.Path]
}
