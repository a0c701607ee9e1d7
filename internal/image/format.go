package image

import (
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
)

// mediaTypes are those of one vendor's format. An image is of one vendor
// throughout: registries refuse mixtures.
type mediaTypes struct{ manifest, config string }

var (
	ociTypes    = mediaTypes{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig}
	dockerTypes = mediaTypes{
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.container.image.v1+json",
	}
)

// inFormat describes the same bytes in the words of the format asked for.
func inFormat(desc ocispec.Descriptor, docker bool) (ocispec.Descriptor, error) {
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		if desc.MediaType == layer.MediaType(c, true) || desc.MediaType == layer.MediaType(c, false) {
			return ocispec.Descriptor{MediaType: layer.MediaType(c, docker), Digest: desc.Digest, Size: desc.Size}, nil
		}
	}
	if foreign(desc.MediaType) {
		return desc, nil
	}
	return desc, fmt.Errorf("describe layer %s: media type %q is not known", desc.Digest, desc.MediaType)
}

// foreign reports whether a layer may not be pushed, and is named by address
// instead.
func foreign(mediaType string) bool {
	switch mediaType {
	case "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd":
		return true
	}
	return false
}
