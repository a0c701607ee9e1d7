package conformance_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkForm holds what kiln wrote against the rules that all images follow.
func checkForm(img *image, base int) error {
	return errors.Join(checkMediaTypes(img), checkLayers(img, base))
}

// checkMediaTypes checks that all media types are one vendor's: registries
// refuse manifests that mix them.
func checkMediaTypes(img *image) error {
	for _, mediaType := range img.mediaTypes {
		if vendor(mediaType) != vendor(img.mediaTypes[0]) {
			return fmt.Errorf("media types are mixed: %q", img.mediaTypes)
		}
	}
	return nil
}

// vendor is the part of a media type that names who defined it.
func vendor(mediaType string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(mediaType, "application/vnd."), ".")
	return name
}

// checkLayers holds the form of the layers that kiln added to a base against
// the rules that all of them follow, whatever they contain.
func checkLayers(img *image, base int) error {
	var faults []error
	for i, l := range img.layers[min(base, len(img.layers)):] {
		c := layerCheck{seen: make(map[string]byte)}
		if err := l.entries(c.entry); err != nil {
			faults = append(faults, fmt.Errorf("layer %d: %w", base+i, err))
		}
		for _, fault := range c.faults {
			faults = append(faults, fmt.Errorf("layer %d: %s", base+i, fault))
		}
	}
	return errors.Join(faults...)
}

// A layerCheck looks at one layer's entries in order.
type layerCheck struct {
	seen   map[string]byte // type by name
	last   string
	faults []string
}

func (c *layerCheck) fault(h *tar.Header, format string, args ...any) {
	c.faults = append(c.faults, h.Name+": "+fmt.Sprintf(format, args...))
}

// entry checks one entry. Content is needed for nothing but to have been read.
func (c *layerCheck) entry(h *tar.Header, _ []byte) error {
	name := strings.TrimSuffix(h.Name, "/")
	switch {
	case strings.HasPrefix(h.Name, "./") || strings.HasPrefix(h.Name, "/"):
		c.fault(h, "the name starts with %q", h.Name[:strings.IndexByte(h.Name, '/')+1])
	case name != clean(name):
		c.fault(h, "the name is not clean")
	case (h.Typeflag == tar.TypeDir) != strings.HasSuffix(h.Name, "/"):
		c.fault(h, "directories, and they alone, end in a slash")
	}
	if _, twice := c.seen[name]; twice {
		c.fault(h, "it is there twice")
	}
	if c.last != "" && slices.Compare(strings.Split(c.last, "/"), strings.Split(name, "/")) > 0 {
		c.fault(h, "it comes after %s", c.last)
	}
	for dir := path.Dir(clean(name)); dir != "."; dir = path.Dir(dir) {
		if kind, has := c.seen[dir]; has && kind != tar.TypeDir {
			c.fault(h, "%s, above it, is no directory", dir)
		}
	}
	c.link(h)
	c.whiteout(h, name)
	if h.Uname != "" || h.Gname != "" {
		c.fault(h, "it names its owner: %q, %q", h.Uname, h.Gname)
	}
	if _, known := kinds[h.Typeflag]; !known && h.Typeflag != tar.TypeLink {
		c.fault(h, "a layer cannot hold type %q", h.Typeflag)
	}
	c.seen[name], c.last = h.Typeflag, name
	return nil
}

// link checks that a hard link names a file before it, as a layer's names are.
func (c *layerCheck) link(h *tar.Header) {
	if h.Typeflag != tar.TypeLink {
		return
	}
	if kind, has := c.seen[h.Linkname]; !has {
		c.fault(h, "its target %q is not before it in the layer", h.Linkname)
	} else if kind == tar.TypeDir {
		c.fault(h, "its target %q is a directory", h.Linkname)
	}
}

// whiteout checks that what is deleted is not also made.
func (c *layerCheck) whiteout(h *tar.Header, name string) {
	dir, base := path.Split(name)
	if other := dir + whiteoutPrefix + base; c.seen[other] != 0 {
		c.fault(h, "it is deleted by the same layer")
	}
	removed, is := strings.CutPrefix(base, whiteoutPrefix)
	if !is {
		return
	}
	if h.Typeflag != tar.TypeReg || h.Size != 0 {
		c.fault(h, "a whiteout is an empty file")
	}
	if _, made := c.seen[dir+removed]; made {
		c.fault(h, "it deletes what the same layer makes")
	}
	if c.seen[dir+opaqueName] != 0 && base != opaqueName {
		c.fault(h, "the directory is opaque, and yet a file in it is deleted")
	}
}
