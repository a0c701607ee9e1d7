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

// WriteLayout adds img to the OCI image layout in the directory dir, under
// names, and makes the layout if it is not there. Images that had these names
// lose them. The index, by which everything else is found, is replaced last and
// at once.
func WriteLayout(ctx context.Context, dir string, img *Image, names []string) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, ocispec.ImageBlobsDir, "sha256"), 0o755); err != nil {
		return err
	}
	for i, l := range img.Layers {
		src, err := l.Blob(ctx)
		if err != nil {
			return err
		}
		open := func() (io.ReadCloser, error) { return src.Open(ctx) }
		if err := writeBlob(dir, img.Descriptors[i], open); err != nil {
			return fmt.Errorf("write layer %s: %w", img.Descriptors[i].Digest, err)
		}
	}
	for _, blob := range []Blob{img.Config, img.Manifest} {
		if err := replaceFile(filepath.Join(dir, blobName(blob.Descriptor)), blob.Bytes); err != nil {
			return err
		}
	}
	if err := replaceFile(filepath.Join(dir, ocispec.ImageLayoutFile), layoutFile()); err != nil {
		return err
	}
	return addToIndex(dir, entriesFor(img, names))
}

// writeBlob writes one blob, unless the layout has it already.
func writeBlob(dir string, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) (err error) {
	path := filepath.Join(dir, blobName(desc))
	if info, err := os.Stat(path); err == nil && info.Size() == desc.Size {
		return nil
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return Replace(path, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// addToIndex puts entries into the layout's index, in the place of those of the
// same name. Builds that write to one layout at once take turns.
func addToIndex(dir string, entries []ocispec.Descriptor) (err error) {
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	path := filepath.Join(dir, ocispec.ImageIndexFile)
	index := newIndex(nil)
	switch text, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &index); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	for _, entry := range entries {
		index.Manifests = slices.DeleteFunc(index.Manifests, func(old ocispec.Descriptor) bool {
			return sameName(old, entry)
		})
		index.Manifests = append(index.Manifests, entry)
	}
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return replaceFile(path, text)
}

// sameName reports whether two entries of an index claim the same name; of
// entries without one, whether they are the same image.
func sameName(a, b ocispec.Descriptor) bool {
	nameA, nameB := a.Annotations[annotationImageName], b.Annotations[annotationImageName]
	if nameA != "" || nameB != "" {
		return nameA == nameB
	}
	refA, refB := a.Annotations[ocispec.AnnotationRefName], b.Annotations[ocispec.AnnotationRefName]
	return refA == refB && (refA != "" || a.Digest == b.Digest)
}

func replaceFile(path string, content []byte) error {
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Replace writes a file so that path shows the old content, or nothing, until
// all of the new one is there.
func Replace(path string, write func(w io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
