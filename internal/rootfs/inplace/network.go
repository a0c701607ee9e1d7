package inplace

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// networkFiles are what a runtime writes for each container, and mostly mounts.
func networkFiles() []string { return []string{"etc/resolv.conf", "etc/hosts", "etc/hostname"} }

// readNetwork returns what the container's network files hold.
func readNetwork(root string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, path := range networkFiles() {
		content, err := os.ReadFile(filepath.Join(root, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[path] = content
	}
	return files, nil
}

// showNetwork shows a process the container's network files, with hosts added
// to /etc/hosts. What the process writes to them is for itself alone.
func (s *shown) showNetwork(g *ground, hosts []string) error {
	for _, path := range networkFiles() {
		content, ok := g.network[path]
		if !ok {
			continue
		}
		want := content
		if path == "etc/hosts" {
			want = slices.Clone(content)
			for _, line := range hosts {
				want = append(want, line+"\n"...)
			}
		}
		var err error
		if file := filepath.Join(g.root, path); g.keep.covers(path) {
			err = s.rewrite(file, want, content)
		} else {
			err = s.show(rootfs.Mount{Target: file, File: &proc.File{Content: want, Mode: 0o644}})
		}
		if err != nil {
			return fmt.Errorf("show /%s: %w", path, err)
		}
	}
	return nil
}

// rewrite gives a file that is mounted, and so cannot be moved, the content
// want, and before again when the process has ended.
func (s *shown) rewrite(file string, want, before []byte) error {
	s.later(func() error { return write(file, before) })
	return write(file, want)
}

// write writes content to a file that holds something else.
func write(file string, content []byte) error {
	now, err := os.ReadFile(file)
	if err != nil || bytes.Equal(now, content) {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}
