package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationImageName is where containerd and BuildKit put an image's full name
// in an index; the OCI's own annotation holds the tag alone.
const annotationImageName = "io.containerd.image.name"

// WriteOCI writes img as the tar of an OCI image layout, under names.
func WriteOCI(ctx context.Context, w io.Writer, img *Image, names []string) error {
	return writeArchive(ctx, w, img, names, false)
}

// WriteDocker writes img as a tar that docker load reads, under names. It is an
// OCI image layout too, as docker's own.
func WriteDocker(ctx context.Context, w io.Writer, img *Image, names []string) error {
	return writeArchive(ctx, w, img, names, true)
}

func writeArchive(ctx context.Context, w io.Writer, img *Image, names []string, docker bool) error {
	a := &archive{tar: tar.NewWriter(w), seen: make(map[string]bool)}
	if err := a.image(ctx, img); err != nil {
		return err
	}
	index, err := json.Marshal(newIndex(entriesFor(img, names)))
	if err != nil {
		return err
	}
	if err := a.bytes(ocispec.ImageIndexFile, index); err != nil {
		return err
	}
	if docker {
		manifest, err := dockerManifest(img, names)
		if err != nil {
			return err
		}
		if err := a.bytes("manifest.json", manifest); err != nil {
			return err
		}
	}
	if err := a.tar.Close(); err != nil {
		return fmt.Errorf("end archive: %w", err)
	}
	return nil
}

// archive writes files into a tar, each name once.
type archive struct {
	tar  *tar.Writer
	seen map[string]bool
}

func (a *archive) image(ctx context.Context, img *Image) error {
	if err := a.bytes(ocispec.ImageLayoutFile, layoutFile()); err != nil {
		return err
	}
	for _, blob := range []Blob{img.Manifest, img.Config} {
		if err := a.bytes(blobName(blob.Descriptor), blob.Bytes); err != nil {
			return err
		}
	}
	for i, l := range img.Layers {
		src, err := l.Blob(ctx)
		if err != nil {
			return err
		}
		desc := img.Descriptors[i]
		open := func() (io.ReadCloser, error) { return src.Open(ctx) }
		if err := a.file(blobName(desc), desc.Size, open); err != nil {
			return fmt.Errorf("write layer %s: %w", desc.Digest, err)
		}
	}
	return nil
}

// file writes one file that open reads, unless it is there already: an image
// may have the same layer twice.
func (a *archive) file(name string, size int64, open func() (io.ReadCloser, error)) (err error) {
	if a.seen[name] {
		return nil
	}
	a.seen[name] = true
	r, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o444}); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, r)
	return err
}

func (a *archive) bytes(name string, content []byte) error {
	if a.seen[name] {
		return nil
	}
	a.seen[name] = true
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o444}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := a.tar.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// blobName is the path of a blob in a layout (OCI image layout, "Blobs").
func blobName(desc ocispec.Descriptor) string {
	return ocispec.ImageBlobsDir + "/" + desc.Digest.Algorithm().String() + "/" + desc.Digest.Encoded()
}

func layoutFile() []byte {
	return []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)
}

func newIndex(manifests []ocispec.Descriptor) ocispec.Index {
	return ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	}
}

// entriesFor returns the entries of an index that name img: one a name, or one
// without a name.
func entriesFor(img *Image, names []string) []ocispec.Descriptor {
	entry := ocispec.Descriptor{
		MediaType: img.Manifest.MediaType, Digest: img.Manifest.Digest, Size: img.Manifest.Size,
		Platform: &img.Platform,
	}
	if len(names) == 0 {
		return []ocispec.Descriptor{entry}
	}
	entries := make([]ocispec.Descriptor, len(names))
	for i, name := range names {
		entries[i] = entry
		entries[i].Annotations = nameAnnotations(name)
	}
	return entries
}

func nameAnnotations(name string) map[string]string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return map[string]string{ocispec.AnnotationRefName: name}
	}
	ref = reference.TagNameOnly(ref)
	annotations := map[string]string{annotationImageName: ref.String()}
	if tagged, ok := ref.(reference.Tagged); ok {
		annotations[ocispec.AnnotationRefName] = tagged.Tag()
	}
	return annotations
}

// dockerManifest is the manifest.json of docker save.
func dockerManifest(img *Image, names []string) ([]byte, error) {
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	it := item{Config: blobName(img.Config.Descriptor)}
	for _, name := range names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, fmt.Errorf("name image %q: %w", name, err)
		}
		it.RepoTags = append(it.RepoTags, reference.FamiliarString(reference.TagNameOnly(ref)))
	}
	for _, desc := range img.Descriptors {
		it.Layers = append(it.Layers, blobName(desc))
	}
	return json.Marshal([]item{it})
}
