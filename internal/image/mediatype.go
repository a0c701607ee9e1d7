package image

import (
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The same layer has a name in each of the two formats. Those of Windows' base
// images, which must not be passed on, have their own.
const (
	ociLayer      = "application/vnd.oci.image.layer.v1.tar"
	ociForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	dockerLayer   = "application/vnd.docker.image.rootfs.diff.tar"
	dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar"
)

// describe returns how a manifest of the format lists the blob: the media type
// in the words of the format, since registries refuse manifests that mix them,
// and no annotations, which are about the image it comes from.
func describe(blob ocispec.Descriptor, docker bool) (ocispec.Descriptor, error) {
	mediaType, err := translate(blob.MediaType, docker)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: blob.Digest, Size: blob.Size, URLs: blob.URLs}, nil
}

// translate returns the name that a layer's media type has in the format.
func translate(mediaType string, docker bool) (string, error) {
	for _, names := range [][2]string{{ociLayer, dockerLayer}, {ociForeign, dockerForeign}} {
		for _, name := range names {
			packing, ok := strings.CutPrefix(mediaType, name)
			if !ok {
				continue
			}
			switch strings.Trim(packing, ".+") {
			case "", "gzip", "zstd":
			default:
				continue
			}
			if docker {
				return names[1] + strings.Replace(packing, "+", ".", 1), nil
			}
			return names[0] + strings.Replace(packing, ".", "+", 1), nil
		}
	}
	return "", fmt.Errorf("media type %q is none of layers", mediaType)
}
