package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// WriteLayout adds the image to the OCI layout in the directory dir, and makes
// one if there is none: --output type=oci-layout. Images of the same names
// leave the layout's index; their blobs stay. The image appears with the index,
// when all of its blobs are there; several builds may add to one layout at once.
func WriteLayout(ctx context.Context, dir string, img *Image, tags []string) error {
	manifests, err := named(img, tags)
	if err != nil {
		return err
	}
	blobs, err := img.files(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o777); err != nil {
		return fmt.Errorf("make layout: %w", err)
	}
	for _, f := range blobs {
		if err := f.addTo(ctx, dir); err != nil {
			return err
		}
	}
	if err := inMemory(ocispec.ImageLayoutFile, []byte(layoutFile)).addTo(ctx, dir); err != nil {
		return err
	}
	if err := updateIndex(dir, manifests); err != nil {
		return fmt.Errorf("update the index of %s: %w", dir, err)
	}
	return nil
}

// addTo writes the file into a layout, unless it is there: files of a layout
// never change, and a killed build leaves none that is shorter than it should be.
func (f file) addTo(ctx context.Context, dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.name))
	if info, err := os.Stat(path); err == nil && info.Size() == f.size {
		return nil
	}
	return Replace(path, func(w io.Writer) error { return f.copy(ctx, w) })
}

// updateIndex lists the manifests in the index. Builds that add to one layout
// at the same time take turns.
func updateIndex(dir string, manifests []ocispec.Descriptor) (err error) {
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	path := filepath.Join(dir, ocispec.ImageIndexFile)
	index, err := readIndex(path)
	if err != nil {
		return err
	}
	if err := index.add(manifests); err != nil {
		return err
	}
	content, err := json.Marshal(index.fields)
	if err != nil {
		return err
	}
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// index is an index.json. Fields that we do not know are kept.
type index struct {
	fields map[string]json.RawMessage
}

func readIndex(path string) (*index, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		content = []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
	} else if err != nil {
		return nil, err
	}
	x := new(index)
	if err := json.Unmarshal(content, &x.fields); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return x, nil
}

// add lists the manifests in place of those that have their names.
func (x *index) add(manifests []ocispec.Descriptor) error {
	var list []json.RawMessage
	if err := json.Unmarshal(x.fields["manifests"], &list); err != nil {
		return fmt.Errorf("parse manifests: %w", err)
	}
	var failed error
	list = slices.DeleteFunc(list, func(entry json.RawMessage) bool {
		var old ocispec.Descriptor
		if err := json.Unmarshal(entry, &old); err != nil {
			failed = fmt.Errorf("parse manifests: %w", err)
		}
		return slices.ContainsFunc(manifests, func(m ocispec.Descriptor) bool { return replaces(m, old) })
	})
	for _, m := range manifests {
		entry, err := json.Marshal(m)
		if err != nil {
			return err
		}
		list = append(list, entry)
	}
	content, err := json.Marshal(list)
	if err != nil {
		return err
	}
	x.fields["manifests"] = content
	return failed
}

// replaces reports whether an entry m takes the place of old: the same full
// name, or, where old has none, the same tag. Without a name that is the same
// image.
func replaces(m, old ocispec.Descriptor) bool {
	tag, oldTag := m.Annotations[ocispec.AnnotationRefName], old.Annotations[ocispec.AnnotationRefName]
	if tag == "" && oldTag == "" {
		return m.Digest == old.Digest
	}
	if oldName := old.Annotations[annotationName]; oldName != "" {
		return m.Annotations[annotationName] == oldName
	}
	return tag == oldTag
}
