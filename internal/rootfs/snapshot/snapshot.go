package snapshot

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Snapshot is what a directory tree looked like. It is immutable.
type Snapshot struct {
	root node
	// newest is the latest change time in it, in nanoseconds.
	newest int64
}

// node is what a snapshot knows of one file. There are as many as files.
type node struct {
	name         string
	ino          uint64
	size         int64 // the device number of a device
	mtime, ctime int64 // nanoseconds; far-off times wrap around, which is as good for comparing
	dev          uint32
	mode         uint32
	uid, gid     uint32
	dir          *dir // nil for all but directories
}

// dir is what a snapshot knows of a directory beyond that.
type dir struct {
	nodes  []node // sorted by name
	birth  int64  // 0 where the file system does not record it
	xattrs string // see encodeXattrs
}

func (n *node) isDir() bool     { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n *node) isSocket() bool  { return n.mode&unix.S_IFMT == unix.S_IFSOCK }
func (n *node) isRegular() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }

func newNode(name string, st *unix.Statx_t) node {
	n := node{
		name: name, ino: st.Ino, size: int64(st.Size),
		mtime: nanoseconds(st.Mtime), ctime: nanoseconds(st.Ctime),
		dev: st.Dev_major<<20 ^ st.Dev_minor, mode: uint32(st.Mode), uid: st.Uid, gid: st.Gid,
	}
	switch n.mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK:
		n.size = int64(unix.Mkdev(st.Rdev_major, st.Rdev_minor))
	case unix.S_IFDIR:
		n.size = 0 // says nothing
	}
	return n
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// Skip names paths that a snapshot leaves alone: as if they, and what is below
// them, were not there. The zero value skips nothing.
type Skip struct {
	// names holds the last elements by the directory they are in.
	names map[string]map[string]bool
}

// NewSkip returns a Skip of paths relative to the root of the tree, as
// [github.com/kiln-build/kiln/internal/layer.Entry] has them.
func NewSkip(paths ...string) Skip {
	s := Skip{names: make(map[string]map[string]bool)}
	for _, path := range paths {
		in, name := ".", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			in, name = path[:i], path[i+1:]
		}
		if s.names[in] == nil {
			s.names[in] = make(map[string]bool)
		}
		s.names[in][name] = true
	}
	return s
}

// maxCtime returns the latest change time of n and all below it.
func (n *node) maxCtime() int64 {
	newest := n.ctime
	if n.dir != nil {
		for i := range n.dir.nodes {
			newest = max(newest, n.dir.nodes[i].maxCtime())
		}
	}
	return newest
}
