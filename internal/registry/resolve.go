package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/platforms"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/progress"
)

// maxNesting bounds indexes inside of indexes.
const maxNesting = 4

// Resolve looks up the image ref, which is written as users write it, for the
// platform. Only its manifest and config are read, those that the store has
// not even that: a tag that has not moved costs one HEAD, a digest nothing. For
// one client a tag does not move: all stages of a build see the same image, and
// share its layers.
//
// An image that is not in an index is taken whatever its platform is, as
// docker does; the config says.
func (c *Client) Resolve(ctx context.Context, ref string, platform ocispec.Platform) (*plan.Image, error) {
	p, err := parse(ref)
	if err != nil {
		return nil, err
	}
	key := p.named.String() + " " + platforms.FormatAll(platform)
	found, err, _ := c.resolving.Do(key, func() (any, error) {
		c.mu.Lock()
		known := c.images[key]
		c.mu.Unlock()
		if known != nil {
			return known, nil
		}
		image, err := c.lookUp(ctx, p, platform)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.images[key] = image
		return image, nil
	})
	if err != nil {
		return nil, err
	}
	image := *found.(*plan.Image)
	image.Ref = ref
	return &image, nil
}

// lookUp is Resolve for the first time.
func (c *Client) lookUp(ctx context.Context, p parsed, platform ocispec.Platform) (_ *plan.Image, err error) {
	task := c.options.Progress.Start(progress.Task{Name: "look up " + p.named.String()})
	defer func() { task.End(progress.Done, err) }()
	repo := &repository{client: c, name: p.repo}
	var top *document
	if p.digest != "" {
		top, err = repo.pinned(ctx, p.digest)
	} else {
		top, err = repo.tagged(ctx, p.tag)
	}
	if err != nil {
		return nil, err
	}
	full := p.pinned(top.digest)
	manifest, err := repo.manifestFor(ctx, top, full, platform)
	if err != nil {
		return nil, err
	}
	image, err := repo.image(ctx, manifest)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", full, err)
	}
	image.Name = full
	return image, nil
}

// manifestFor goes from an index to the manifest for the platform.
func (r *repository) manifestFor(ctx context.Context, doc *document, full string, platform ocispec.Platform) (*document, error) {
	for range maxNesting {
		if !doc.isIndex() {
			return doc, nil
		}
		desc, ok := choose(doc, platform)
		if !ok {
			return nil, &NoPlatformError{Image: full, Wanted: platforms.Format(platform), Available: platformNames(doc)}
		}
		var err error
		if doc, err = r.pinned(ctx, desc.Digest); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: indexes in indexes, %d deep", full, maxNesting)
}

// image makes the image that a manifest describes.
func (r *repository) image(ctx context.Context, manifest *document) (*plan.Image, error) {
	if t := manifest.Config.MediaType; t != ocispec.MediaTypeImageConfig && t != dockerConfig {
		return nil, fmt.Errorf("it is not an image of a file system: its config is %q", t)
	}
	content, err := r.config(ctx, *manifest.Config)
	if err != nil {
		return nil, err
	}
	config := new(dockerspec.DockerOCIImage)
	if err := json.Unmarshal(content, config); err != nil {
		return nil, fmt.Errorf("parse config %s: %w", manifest.Config.Digest, err)
	}
	layers, err := r.layers(manifest.Layers, config.RootFS.DiffIDs)
	if err != nil {
		return nil, err
	}
	return &plan.Image{Digest: manifest.digest, MediaType: manifest.MediaType, Config: config, Layers: layers}, nil
}

// layers pairs the blobs that a manifest lists with the diff IDs of the config.
func (r *repository) layers(blobs []ocispec.Descriptor, diffIDs []digest.Digest) ([]*layer.Layer, error) {
	if len(blobs) != len(diffIDs) {
		return nil, fmt.Errorf("its manifest lists %d layers, its config %d", len(blobs), len(diffIDs))
	}
	layers := make([]*layer.Layer, len(blobs))
	for i, desc := range blobs {
		if err := desc.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("layer %d: digest %q: %w", i+1, desc.Digest, err)
		}
		if desc.Size < 0 {
			return nil, fmt.Errorf("layer %d: it is said to have %d bytes", i+1, desc.Size)
		}
		if err := diffIDs[i].Validate(); err != nil {
			return nil, fmt.Errorf("layer %d: diff ID %q: %w", i+1, diffIDs[i], err)
		}
		layers[i] = r.layer(desc, diffIDs[i])
	}
	return layers, nil
}

// layer returns the layer, the same one each time: what is found out about it
// is then known to all images that have it.
func (r *repository) layer(desc ocispec.Descriptor, diffID digest.Digest) *layer.Layer {
	key := fmt.Sprint(r.name, desc.MediaType, desc.Digest, desc.Size, diffID)
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	l := r.client.layers[key]
	if l == nil {
		l = layer.Remote(desc, diffID, &source{client: r.client, repo: r.name, desc: desc}, r.client.store)
		r.client.layers[key] = l
	}
	return l
}
