package image

import (
	"context"
	"encoding/json"
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
	// Config is the config without rootfs, history and created.
	Config *dockerspec.DockerOCIImage
	// Layers are the image's layers, the lowest first, written or about to be.
	Layers []*layer.Layer
	// History has an entry an instruction; those without Created get the time
	// of their neighbours.
	History []ocispec.History
}

// Options say how an image is described.
type Options struct {
	// Docker asks for Docker's media types (version 2, schema 2), not OCI's.
	Docker bool
	// Labels are added to the config's.
	Labels map[string]string
	// Annotations are those of the manifest. Docker's format has none.
	Annotations map[string]string
	// Created is the time of an image that no step has given one.
	Created time.Time
}

// Blob is a small piece of an image: its manifest or its config.
type Blob struct {
	ocispec.Descriptor
	Bytes []byte
}

// Image is a complete image. It is a value: nothing of it changes any more.
type Image struct {
	Manifest, Config Blob
	// Layers are the layers, and Descriptors what the manifest says of them.
	Layers      []*layer.Layer
	Descriptors []ocispec.Descriptor
	// Platform is what it was built for.
	Platform ocispec.Platform
}

// Assemble waits for the layers of s to be written and describes them.
func Assemble(ctx context.Context, s Source, o Options) (*Image, error) {
	config := *s.Config
	if len(o.Labels) > 0 {
		labels := maps.Clone(config.Config.Labels)
		if labels == nil {
			labels = make(map[string]string)
		}
		maps.Copy(labels, o.Labels)
		config.Config.Labels = labels
	}
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: make([]digest.Digest, len(s.Layers))}
	descriptors := make([]ocispec.Descriptor, len(s.Layers))
	for i, l := range s.Layers {
		id, err := l.DiffID(ctx)
		if err != nil {
			return nil, err
		}
		desc, err := l.Descriptor(ctx)
		if err != nil {
			return nil, err
		}
		config.RootFS.DiffIDs[i] = id
		if descriptors[i], err = inFormat(desc, o.Docker); err != nil {
			return nil, err
		}
	}
	config.History = withTimes(s.History, o.Created)
	config.Created = created(config.History, o.Created)
	return describe(config, s.Layers, descriptors, o)
}

// describe writes config and manifest down.
func describe(config dockerspec.DockerOCIImage, layers []*layer.Layer, descriptors []ocispec.Descriptor, o Options) (*Image, error) {
	types := ociTypes
	if o.Docker {
		types = dockerTypes
	}
	configBlob, err := encode(types.config, config)
	if err != nil {
		return nil, fmt.Errorf("write image config: %w", err)
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: types.manifest,
		Config:    configBlob.Descriptor,
		Layers:    descriptors,
	}
	if !o.Docker {
		manifest.Annotations = o.Annotations
	}
	manifestBlob, err := encode(types.manifest, manifest)
	if err != nil {
		return nil, fmt.Errorf("write image manifest: %w", err)
	}
	return &Image{
		Manifest: manifestBlob, Config: configBlob,
		Layers: layers, Descriptors: descriptors,
		Platform: config.Platform,
	}, nil
}

// encode writes v as JSON. The same value gives the same bytes: structs in the
// order of their fields, maps in that of their keys.
func encode(mediaType string, v any) (Blob, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return Blob{}, err
	}
	return Blob{
		Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))},
		Bytes:      text,
	}, nil
}

// withTimes fills in the times of the entries that have none, as BuildKit does
// (exporter/containerimage/writer.go, normalizeLayersAndHistory): they get the
// time of the entry before them, and those at the start of what was built that
// of the first new layer, because the base's times would be too early.
func withTimes(history []ocispec.History, otherwise time.Time) []ocispec.History {
	current := firstNewTime(history)
	if current == nil {
		current = &otherwise
	}
	filled := make([]ocispec.History, len(history))
	missing := false
	for i, entry := range history {
		switch {
		case entry.Created == nil:
			missing = true
			entry.Created = current
		case missing:
			current = entry.Created
		}
		filled[i] = entry
	}
	return filled
}

// firstNewTime returns the first time after an entry without one, or else the
// last of all.
func firstNewTime(history []ocispec.History) *time.Time {
	var found *time.Time
	missing := false
	for _, entry := range history {
		if entry.Created == nil {
			missing = true
			continue
		}
		found = entry.Created
		if missing {
			break
		}
	}
	return found
}

// created is the time of the image: that of its last step.
func created(history []ocispec.History, otherwise time.Time) *time.Time {
	if n := len(history); n > 0 && history[n-1].Created != nil {
		return history[n-1].Created
	}
	return &otherwise
}
