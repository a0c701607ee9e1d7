package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path"
	"strings"
)

// ReadTar reads the entries of an uncompressed tar, whoever wrote it. Names
// come out relative and clean; one that leaves the root is an error that names
// it, and so is a type of entry that a root filesystem has no place for.
// Whiteout markers come out as such, and what AUFS kept for itself in early
// layers is left out.
//
// A name below a symbolic link of the same tar comes out as the path that the
// link leads to, which is where unpacking in order would put it: of the entries
// a -> b, a/f the second is b/f.
//
// Content has to be read, if at all, before the next step. Memory does not grow
// with the tar but for its symbolic links.
func ReadTar(r io.Reader) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		t := tar.NewReader(r)
		links := links{}
		for {
			h, err := t.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Change{}, fmt.Errorf("read tar: %w", err))
				return
			}
			c, ok, err := readEntry(h, links)
			if err != nil {
				yield(Change{}, fmt.Errorf("read tar: entry %q: %w", h.Name, err))
				return
			}
			if !ok {
				continue
			}
			if c.Type == Regular {
				c.Reader = t
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// readEntry returns what the header says, or ok false if it is to be skipped.
func readEntry(h *tar.Header, links links) (c Change, ok bool, err error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return c, false, nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return c, false, err
	}
	if isAUFS(name) {
		return c, false, nil
	}
	if name, err = links.resolve(name); err != nil {
		return c, false, err
	}
	if e, ok, err := readMarker(name); ok || err != nil {
		return Change{Entry: e}, ok, err
	}
	e, err := fromHeader(h, name)
	if err != nil {
		return c, false, err
	}
	if e.Type == Link {
		if e.Linkname, err = linkTarget(h.Linkname, links); err != nil {
			return c, false, err
		}
		if e.Linkname == e.Path {
			return c, false, errors.New("hard link to itself")
		}
	}
	links.note(e)
	return Change{Entry: e}, true, nil
}

// cleanName makes name relative and clean, "." for the root.
func cleanName(name string) (string, error) {
	if name == "" {
		return "", errors.New("empty name")
	}
	if err := checkPath(name); err != nil {
		return "", err
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("name leaves the root")
	}
	return clean, nil
}

// maxPath is the longest path that Linux takes, its PATH_MAX less the zero byte.
const maxPath = 4095

// checkPath refuses what no system call would take.
func checkPath(p string) error {
	if len(p) > maxPath {
		return fmt.Errorf("path of %d bytes, %d is the most", len(p), maxPath)
	}
	if strings.IndexByte(p, 0) >= 0 {
		return errors.New("path with a zero byte")
	}
	return nil
}

// linkTarget is the path a hard link names.
func linkTarget(name string, links links) (string, error) {
	clean, err := cleanName(name)
	if err != nil {
		return "", fmt.Errorf("hard link to %q: %w", name, err)
	}
	if clean, err = links.resolve(clean); err != nil {
		return "", fmt.Errorf("hard link to %q: %w", name, err)
	}
	return clean, nil
}

// isAUFS reports whether name is one that AUFS kept its records under, such as
// ".wh..wh.plnk/12.34". Docker and containerd leave them out as well.
func isAUFS(name string) bool {
	for name != "" {
		element, rest, _ := strings.Cut(name, "/")
		if strings.HasPrefix(element, whiteoutPrefix+whiteoutPrefix) && element != opaqueMarker {
			return true
		}
		name = rest
	}
	return false
}

// readMarker reads a name that stands for a deletion; the type of its entry
// does not matter.
func readMarker(name string) (e Entry, ok bool, err error) {
	dir, base := Parent(name), Base(name)
	if strings.HasPrefix(dir, whiteoutPrefix) || strings.Contains(dir, "/"+whiteoutPrefix) {
		return e, false, errors.New("entry below a whiteout")
	}
	if base == opaqueMarker {
		return Entry{Path: dir, Type: Opaque}, true, nil
	}
	gone, ok := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !ok:
		return e, false, nil
	case gone == "" || gone == "." || gone == "..":
		return e, false, errors.New("whiteout of no name")
	case dir != ".":
		gone = dir + "/" + gone
	}
	return Entry{Path: gone, Type: Whiteout}, true, nil
}

func fromHeader(h *tar.Header, name string) (Entry, error) {
	e := Entry{
		Path:    name,
		Mode:    uint32(h.Mode & (ModePerm | ModeSetuid | ModeSetgid | ModeSticky)),
		ModTime: h.ModTime,
		Xattrs:  xattrs(h),
	}
	var err error
	if e.UID, err = number("owner", int64(h.Uid), maxID); err != nil {
		return e, err
	}
	if e.GID, err = number("group", int64(h.Gid), maxID); err != nil {
		return e, err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Type, e.Size = Regular, h.Size
	case tar.TypeDir:
		e.Type = Dir
	case tar.TypeSymlink:
		e.Type, e.Linkname = Symlink, h.Linkname
		if h.Linkname == "" {
			return e, errors.New("symbolic link without a target")
		}
		if err := checkPath(h.Linkname); err != nil {
			return e, fmt.Errorf("symbolic link: %w", err)
		}
	case tar.TypeLink:
		e.Type = Link
		e.Xattrs = nil
	case tar.TypeChar, tar.TypeBlock:
		e.Type = Char
		if h.Typeflag == tar.TypeBlock {
			e.Type = Block
		}
		if e.Major, err = number("major device number", h.Devmajor, math.MaxUint32); err != nil {
			return e, err
		}
		if e.Minor, err = number("minor device number", h.Devminor, math.MaxUint32); err != nil {
			return e, err
		}
	case tar.TypeFifo:
		e.Type = Fifo
	default:
		return e, fmt.Errorf("type %q is not one of a file in an image", h.Typeflag)
	}
	if name == "." && e.Type != Dir {
		return e, errors.New("the root is not a directory")
	}
	return e, nil
}

// maxID is the largest user or group: to the kernel, one more means none.
const maxID = math.MaxUint32 - 1

func number(what string, n, most int64) (uint32, error) {
	if n < 0 || n > most {
		return 0, fmt.Errorf("%s %d is out of range", what, n)
	}
	return uint32(n), nil
}

// xattrs returns the extended attributes of h, nil if it has none.
func xattrs(h *tar.Header) map[string]string {
	var attrs map[string]string
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, xattrRecord)
		if !ok || name == "" {
			continue
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = value
	}
	return attrs
}
