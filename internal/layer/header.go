package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Names with a meaning of their own in a layer's tar: OCI image layer
// specification, "Representing Changes".
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"

	// xattrRecord is the PAX record that every image tool keeps extended
	// attributes in.
	xattrRecord = "SCHILY.xattr."
)

// header returns the tar header that stands for e. As BuildKit and containerd
// do, it holds whole seconds and no names of users and groups, and whiteouts
// carry nothing but their name.
func header(e Entry) (*tar.Header, error) {
	if e.Type == Whiteout || e.Type == Opaque {
		return marker(e)
	}
	if strings.HasPrefix(Base(e.Path), whiteoutPrefix) {
		return nil, fmt.Errorf("a name that begins with %s means a deletion in a layer, it cannot be stored", whiteoutPrefix)
	}
	h := &tar.Header{
		Name:     e.Path,
		Mode:     int64(e.Mode),
		Uid:      int(e.UID),
		Gid:      int(e.GID),
		ModTime:  e.ModTime.Truncate(time.Second),
		Linkname: e.Linkname,
	}
	switch e.Type {
	case Regular:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	case Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case Symlink:
		h.Typeflag = tar.TypeSymlink
	case Link:
		h.Typeflag = tar.TypeLink
	case Char:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(e.Major), int64(e.Minor)
	case Block:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeBlock, int64(e.Major), int64(e.Minor)
	case Fifo:
		h.Typeflag = tar.TypeFifo
	default:
		return nil, fmt.Errorf("entry type %d is unknown", e.Type)
	}
	return h, addXattrs(h, e)
}

func marker(e Entry) (*tar.Header, error) {
	name := opaqueMarker
	dir := e.Path
	if e.Type == Whiteout {
		name, dir = whiteoutPrefix+Base(e.Path), Parent(e.Path)
		if e.Path == "." {
			return nil, errors.New("the root cannot be whited out")
		}
	}
	if dir != "." {
		name = dir + "/" + name
	}
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}, nil
}

// addXattrs stores the extended attributes of e, except for hard links: there
// is one set of them for all names of a file, and the first name has it.
func addXattrs(h *tar.Header, e Entry) error {
	if len(e.Xattrs) == 0 || e.Type == Link {
		return nil
	}
	h.PAXRecords = make(map[string]string, len(e.Xattrs))
	for name, value := range e.Xattrs {
		if strings.Contains(name, "=") {
			return fmt.Errorf("extended attribute %q: a tar cannot hold a name with an equals sign", name)
		}
		h.PAXRecords[xattrRecord+name] = value
	}
	return nil
}
