package layer

import (
	"strings"
	"time"
)

// Type says what an entry is. The zero value is invalid so that a forgotten
// type is noticed.
type Type uint8

// The types of entries. Whiteout and Opaque are the two markers of the OCI
// image layer specification ("Whiteouts", "Opaque Whiteout"); they carry no
// metadata but their path.
const (
	Regular  Type = iota + 1
	Dir           // directory
	Symlink       // Linkname is the target, verbatim
	Link          // hard link: Linkname is the Path of the entry that holds the content
	Char          // character device, Major:Minor
	Block         // block device, Major:Minor
	Fifo          // named pipe
	Whiteout      // Path, and all below it, of lower layers is gone
	Opaque        // Path is a directory whose content in lower layers is gone
)

// Entry is what a layer says about one path: the facts of a tar header that an
// image keeps, without its content.
type Entry struct {
	// Path is relative to the root, slash-separated and clean: no leading
	// slash, no "." or "..". The root itself is ".".
	Path string
	// Type says what the path is.
	Type Type
	// Mode holds the permission bits and setuid (04000), setgid (02000) and
	// sticky (01000), as in the mode field of a tar header; no type bits.
	Mode uint32
	// UID and GID are the owner as the image shows it.
	UID, GID uint32
	// Size is the length of a regular file's content in bytes, else 0.
	Size int64
	// ModTime is the modification time. Layers that kiln writes hold whole
	// seconds, rounded down, as BuildKit's do; others may have fractions.
	ModTime time.Time
	// Linkname is the target of a Symlink (verbatim) or a Link (a Path).
	Linkname string
	// Major and Minor number a device.
	Major, Minor uint32
	// Xattrs holds extended attributes by full name ("security.capability").
	// Shared between copies of an entry: never modify it in place.
	Xattrs map[string]string
	// Content is the sha256 of a regular file's content where it is known;
	// zero where it is not.
	Content [32]byte
}

// Mode bits above the permission bits, as a tar header holds them.
const (
	ModeSetuid = 0o4000
	ModeSetgid = 0o2000
	ModeSticky = 0o1000
	ModePerm   = 0o777
)

// Compare orders two paths so that a directory comes before what it holds and
// its content is contiguous: "a", "a/b", "a/c", "a.b". It returns -1, 0 or 1.
func Compare(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		default:
			return 1
		}
	}
	switch {
	case len(a) < len(b):
		return -1
	case len(a) > len(b):
		return 1
	}
	return 0
}

// Parent returns the directory that holds path, "." for a top-level name and
// for "." itself.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}

// Base returns the last element of path.
func Base(path string) string {
	return path[strings.LastIndexByte(path, '/')+1:]
}
