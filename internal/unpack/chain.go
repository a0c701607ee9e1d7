package unpack

import (
	"strings"
	"sync/atomic"

	"github.com/kiln-build/kiln/internal/inroot"
)

// openDir is an open directory that several users share; the last one closes it.
type openDir struct {
	*inroot.Dir
	path  string
	fresh bool // see dirFacts
	users atomic.Int32
}

func (d *openDir) take() *openDir {
	d.users.Add(1)
	return d
}

func (d *openDir) release() error {
	if d.users.Add(-1) > 0 {
		return nil
	}
	return d.Close()
}

// chain is the directory that entries are put into, and all it is in: the root
// first, each opened from the one before. Most entries of a layer are in the
// directory of the entry before them, or close to it.
type chain struct {
	dirs []*openDir
	err  error // the first of closing a directory
}

func (c *chain) last() *openDir { return c.dirs[len(c.dirs)-1] }

func (c *chain) push(d *openDir) { c.dirs = append(c.dirs, d.take()) }

func (c *chain) pop() {
	if err := c.last().release(); c.err == nil {
		c.err = err
	}
	c.dirs = c.dirs[:len(c.dirs)-1]
}

// back leaves directories until the last is path or one that path is below.
func (c *chain) back(path string) {
	for len(c.dirs) > 1 && c.last().path != path && !isBelow(path, c.last().path) {
		c.pop()
	}
}

// leave leaves path and what is below it.
func (c *chain) leave(path string) {
	for len(c.dirs) > 1 && (c.last().path == path || isBelow(c.last().path, path)) {
		c.pop()
	}
}

func (c *chain) close() error {
	for len(c.dirs) > 0 {
		c.pop()
	}
	return c.err
}

// isBelow reports whether path is in the directory dir, at any depth.
func isBelow(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}
