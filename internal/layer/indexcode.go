package layer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// indexFormat begins every encoded index; its last byte is the version of the
// format. Whatever else it finds, a reader makes the index anew.
const indexFormat = "kiln index\x01"

// ErrIndexFormat means that data is not an index, or one of another version.
var ErrIndexFormat = errors.New("not an index of this version")

// The encoding is a sequence of varints, and of strings that follow their
// length. Paths are stored whole, so that the decoded index can point into the
// data instead of copying it. Content is there only for regular files that
// know it, link names and devices only where the type has them.

// Encode returns the index in a compact form for keeping it.
func (x Index) Encode() []byte {
	b := make([]byte, 0, len(indexFormat)+64*len(x))
	b = append(b, indexFormat...)
	b = binary.AppendUvarint(b, uint64(len(x)))
	for i := range x {
		b = appendEntry(b, &x[i])
	}
	return b
}

// Bits that say what follows in an entry.
const (
	hasContent = 1 << iota
	hasXattrs
)

func appendEntry(b []byte, e *Entry) []byte {
	var has byte
	if e.Content != [32]byte{} {
		has |= hasContent
	}
	if len(e.Xattrs) > 0 {
		has |= hasXattrs
	}
	b = append(b, byte(e.Type), has)
	b = appendString(b, e.Path)
	if e.Type == Whiteout || e.Type == Opaque {
		return b
	}
	b = binary.AppendUvarint(b, uint64(e.Mode))
	b = binary.AppendUvarint(b, uint64(e.UID))
	b = binary.AppendUvarint(b, uint64(e.GID))
	b = binary.AppendVarint(b, e.ModTime.Unix())
	b = binary.AppendUvarint(b, uint64(e.ModTime.Nanosecond()))
	switch e.Type {
	case Regular:
		b = binary.AppendUvarint(b, uint64(e.Size))
	case Symlink, Link:
		b = appendString(b, e.Linkname)
	case Char, Block:
		b = binary.AppendUvarint(b, uint64(e.Major))
		b = binary.AppendUvarint(b, uint64(e.Minor))
	}
	if has&hasContent != 0 {
		b = append(b, e.Content[:]...)
	}
	if has&hasXattrs != 0 {
		b = appendXattrs(b, e.Xattrs)
	}
	return b
}

func appendXattrs(b []byte, attrs map[string]string) []byte {
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	slices.Sort(names) // equal indexes have equal encodings
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = appendString(b, name)
		b = appendString(b, attrs[name])
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// smallestEntry is the least number of bytes an encoded entry takes: it bounds
// how many entries a damaged index can make us allocate.
const smallestEntry = 4

// DecodeIndex reads what Encode wrote. Damaged or foreign data is an error; it
// takes no more memory than in proportion to its length.
func DecodeIndex(data []byte) (Index, error) {
	rest, ok := strings.CutPrefix(string(data), indexFormat)
	if !ok {
		return nil, ErrIndexFormat
	}
	d := decoder{rest: rest}
	n := d.uint(uint64(len(rest) / smallestEntry))
	x := make(Index, 0, n)
	for range n {
		e := d.entry()
		if d.bad {
			break
		}
		if len(x) > 0 && !ordered(&x[len(x)-1], &e) {
			return nil, fmt.Errorf("decode index: %q is not in its place", e.Path)
		}
		x = append(x, e)
	}
	if d.bad || d.rest != "" {
		return nil, errors.New("decode index: damaged")
	}
	return x, nil
}

func ordered(a, b *Entry) bool {
	c := Compare(a.Path, b.Path)
	return c < 0 || c == 0 && a.Type.rank() < b.Type.rank()
}

// decoder takes values off the front of rest. After the first that is not
// there, bad is true and all values are zero.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) entry() Entry {
	head := d.bytes(2)
	if d.bad {
		return Entry{}
	}
	e := Entry{Type: Type(head[0]), Path: d.string()}
	has := head[1]
	switch {
	case e.Type == 0 || e.Type > Opaque || !isClean(e.Path):
		d.fail()
		return e
	case e.Type == Whiteout || e.Type == Opaque:
		return e
	}
	e.Mode = uint32(d.uint(0o7777))
	e.UID = uint32(d.uint(math.MaxUint32))
	e.GID = uint32(d.uint(math.MaxUint32))
	seconds := d.int()
	e.ModTime = time.Unix(seconds, int64(d.uint(999_999_999)))
	switch e.Type {
	case Regular:
		e.Size = int64(d.uint(math.MaxInt64))
	case Symlink, Link:
		e.Linkname = d.string()
	case Char, Block:
		e.Major = uint32(d.uint(math.MaxUint32))
		e.Minor = uint32(d.uint(math.MaxUint32))
	}
	if has&hasContent != 0 {
		copy(e.Content[:], d.bytes(uint64(len(e.Content))))
	}
	if has&hasXattrs != 0 {
		e.Xattrs = d.xattrs()
	}
	return e
}

// isClean reports whether path is as Entry.Path promises.
func isClean(path string) bool {
	if path == "." {
		return true
	}
	for more := true; more; {
		var element string
		element, path, more = strings.Cut(path, "/")
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

func (d *decoder) xattrs() map[string]string {
	n := d.uint(uint64(len(d.rest)))
	attrs := make(map[string]string)
	for range n {
		name := d.string()
		value := d.string()
		if d.bad {
			return nil
		}
		attrs[name] = value
	}
	return attrs
}

func (d *decoder) uint(most uint64) uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		if len(d.rest) == 0 {
			break
		}
		c := d.rest[0]
		d.rest = d.rest[1:]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > most {
				break
			}
			return v
		}
	}
	d.fail()
	return 0
}

// int reads what binary.AppendVarint wrote.
func (d *decoder) int() int64 {
	v := d.uint(math.MaxUint64)
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) string() string { return d.bytes(d.uint(uint64(len(d.rest)))) }

// bytes takes n bytes off, without a copy.
func (d *decoder) bytes(n uint64) string {
	if d.bad || n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) fail() {
	d.bad = true
	d.rest = ""
}
