package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
)

// Source is what an image is made of.
type Source struct {
	// Config is the config without rootfs and created. It is not modified.
	Config *dockerspec.DockerOCIImage
	// Layers are the layers, the lowest first.
	Layers []*layer.Layer
	// History has an entry for every instruction. Created may be nil.
	History []ocispec.History
}

// Options say how an image is made.
type Options struct {
	// Docker asks for Docker's media types in place of OCI's.
	Docker bool
	// Labels are added to the config's.
	Labels map[string]string
	// Annotations are those of the manifest. Docker's format has none.
	Annotations map[string]string
	// Created is when the image counts as made if its history does not tell.
	Created time.Time
}

// Image is a finished image. It is a value: nothing of it changes any more. Its
// layers' bytes are read when it is written.
type Image struct {
	Manifest, Config Blob
	// Layers are the layers, the lowest first, and Descriptors what the
	// manifest says of them.
	Layers      []*layer.Layer
	Descriptors []ocispec.Descriptor
	// Platform is what it was built for.
	Platform ocispec.Platform
}

// Blob is a manifest or a config.
type Blob struct {
	ocispec.Descriptor
	Bytes []byte
}

// The media types of Docker's image format.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// Assemble makes the image; it waits for layers that are still being written.
// Equal sources give equal bytes.
func Assemble(ctx context.Context, s Source, o Options) (*Image, error) {
	if o.Docker && len(o.Annotations) > 0 {
		return nil, errors.New("images of the docker format have no annotations: use --format oci")
	}
	img := &Image{Layers: s.Layers, Descriptors: []ocispec.Descriptor{}, Platform: s.Config.Platform}
	diffIDs := make([]digest.Digest, len(s.Layers))
	for i, l := range s.Layers {
		blob, err := l.Descriptor(ctx)
		if err != nil {
			return nil, err
		}
		if diffIDs[i], err = l.DiffID(ctx); err != nil {
			return nil, err
		}
		if blob, err = describe(blob, o.Docker); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err)
		}
		img.Descriptors = append(img.Descriptors, blob)
	}
	var err error
	if img.Config, err = makeConfig(s, diffIDs, o); err != nil {
		return nil, fmt.Errorf("make config: %w", err)
	}
	if img.Manifest, err = makeManifest(img, o); err != nil {
		return nil, fmt.Errorf("make manifest: %w", err)
	}
	return img, nil
}

func makeConfig(s Source, diffIDs []digest.Digest, o Options) (Blob, error) {
	config := *s.Config
	if len(o.Labels) > 0 {
		config.Config.Labels = make(map[string]string)
		maps.Copy(config.Config.Labels, s.Config.Config.Labels)
		maps.Copy(config.Config.Labels, o.Labels)
	}
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: diffIDs}
	config.History = completeHistory(s.History, len(diffIDs))
	config.Created = lastTime(config.History)
	if config.Created == nil {
		created := o.Created.UTC()
		config.Created = &created
	}
	mediaType := ocispec.MediaTypeImageConfig
	if o.Docker {
		mediaType = dockerConfig
	}
	return encode(mediaType, config)
}

func makeManifest(img *Image, o Options) (Blob, error) {
	mediaType := ocispec.MediaTypeImageManifest
	if o.Docker {
		mediaType = dockerManifest
	}
	return encode(mediaType, ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   mediaType,
		Config:      img.Config.Descriptor,
		Layers:      img.Descriptors,
		Annotations: o.Annotations,
	})
}

// encode makes a blob. Go's encoding is the same each time: fields come in
// the order of the struct, the keys of maps sorted.
func encode(mediaType string, content any) (Blob, error) {
	bytes, err := json.Marshal(content)
	if err != nil {
		return Blob{}, err
	}
	return Blob{
		Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(bytes), Size: int64(len(bytes))},
		Bytes:      bytes,
	}, nil
}
