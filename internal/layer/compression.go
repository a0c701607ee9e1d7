package layer

import (
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Compression says how the bytes of a tar are packed. The zero value is Gzip,
// the one that every registry and runtime understands.
type Compression uint8

// The compressions. Layers are written as Gzip, Zstd or None; Bzip2 and XZ are
// only read, by ADD.
const (
	Gzip Compression = iota
	Zstd
	None
	Bzip2
	XZ
)

// String returns the name as flags take it.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	case None:
		return "none"
	case Bzip2:
		return "bzip2"
	case XZ:
		return "xz"
	}
	return fmt.Sprintf("compression(%d)", uint8(c))
}

// The media types of Docker's image format (version 2, schema 2), as BuildKit
// writes them. Docker never named one for zstd; BuildKit and containerd use
// and understand this one.
const (
	dockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerGzip = dockerLayer + ".gzip"
	dockerLayerZstd = dockerLayer + ".zstd"
)

// MediaType returns the media type of a layer packed as c, of the OCI image
// format or of Docker's. It is "" for what a layer cannot be packed as.
func MediaType(c Compression, docker bool) string {
	switch {
	case c == Gzip && docker:
		return dockerLayerGzip
	case c == Gzip:
		return ocispec.MediaTypeImageLayerGzip
	case c == Zstd && docker:
		return dockerLayerZstd
	case c == Zstd:
		return ocispec.MediaTypeImageLayerZstd
	case c == None && docker:
		return dockerLayer
	case c == None:
		return ocispec.MediaTypeImageLayer
	}
	return ""
}
