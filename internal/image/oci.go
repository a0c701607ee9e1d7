package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationName is where containerd, and so BuildKit, keeps the full name of
// an image in an index; [ocispec.AnnotationRefName] has the tag alone.
const annotationName = "io.containerd.image.name"

// layoutFile is the content of the file that marks an OCI layout.
const layoutFile = `{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`

// WriteOCI writes the image as an OCI layout in a tar: --output type=oci.
func WriteOCI(ctx context.Context, w io.Writer, img *Image, tags []string) error {
	manifests, err := named(img, tags)
	if err != nil {
		return err
	}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	})
	if err != nil {
		return fmt.Errorf("make index: %w", err)
	}
	blobs, err := img.files(ctx)
	if err != nil {
		return err
	}
	files := append([]file{
		inMemory(ocispec.ImageLayoutFile, []byte(layoutFile)),
		inMemory(ocispec.ImageIndexFile, index),
	}, blobs...)
	return writeArchive(ctx, w, []string{"blobs", "blobs/sha256"}, files)
}

// files returns the blobs of a layout: manifest, config, and each layer once.
func (img *Image) files(ctx context.Context) ([]file, error) {
	files := []file{
		inMemory(blobName(img.Manifest.Digest), img.Manifest.Bytes),
		inMemory(blobName(img.Config.Digest), img.Config.Bytes),
	}
	seen := make(map[digest.Digest]bool)
	for i, l := range img.Layers {
		blob := img.Descriptors[i]
		if seen[blob.Digest] {
			continue
		}
		seen[blob.Digest] = true
		src, err := l.Blob(ctx)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: blobName(blob.Digest), size: blob.Size, open: src.Open})
	}
	return files, nil
}

func blobName(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// named returns how an index lists the image: once for each name, or once
// without one.
func named(img *Image, tags []string) ([]ocispec.Descriptor, error) {
	plain := img.Manifest.Descriptor
	plain.Platform = &img.Platform
	if len(tags) == 0 {
		return []ocispec.Descriptor{plain}, nil
	}
	list := make([]ocispec.Descriptor, len(tags))
	for i, name := range tags {
		full, err := fullName(name)
		if err != nil {
			return nil, err
		}
		list[i] = plain
		list[i].Annotations = map[string]string{annotationName: full.String(), ocispec.AnnotationRefName: full.Tag()}
	}
	return list, nil
}

// fullName completes a name as docker does.
func fullName(name string) (reference.NamedTagged, error) {
	parsed, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("image name %q: %w", name, err)
	}
	tagged, ok := reference.TagNameOnly(parsed).(reference.NamedTagged)
	if !ok {
		return nil, fmt.Errorf("image name %q: a digest cannot be given to a new image", name)
	}
	return tagged, nil
}
