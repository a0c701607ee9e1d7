package dockerfile_test

import (
	"context"
	"fmt"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

// catalog holds images by reference; those of other references are not there.
type catalog map[string]dockerspec.DockerOCIImage

func (c catalog) Resolve(_ context.Context, ref string, p ocispec.Platform) (*plan.Image, error) {
	config, ok := c[ref]
	if !ok {
		return nil, fmt.Errorf("%s: not found", ref)
	}
	if config.OS == "" {
		config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	}
	return &plan.Image{Ref: ref, Name: ref, Config: &config}, nil
}

func TestResolveNeedsWhatTheTargetNeeds(t *testing.T) {
	const text = `
FROM missing AS unused
FROM alpine AS builder
RUN make
FROM scratch
COPY --from=Builder /out /
`
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{Images: catalog{"alpine": {}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Stages) != 2 || p.Stages[0].Name != "builder" || p.Target != p.Stages[1] {
		t.Errorf("stages are %v, want builder and the last", p.Stages)
	}
}
