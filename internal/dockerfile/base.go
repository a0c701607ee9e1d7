package dockerfile

import (
	"context"
	"errors"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/plan"
)

// imageRequest is an image that somebody needs.
type imageRequest struct{ ref, platform string }

// use is one place that an image is needed at.
type use struct {
	imageRequest
	platform ocispec.Platform
	written  string // the reference as written
	at       []parser.Range
	set      func(*plan.Image)
}

// prepareNeeded finds the stages that target needs, looks up their base images
// and those they copy from, and puts in the ONBUILD triggers of their bases.
// Triggers may need further stages and images, hence the rounds.
func (r *resolver) prepareNeeded(ctx context.Context, target *stage) (map[*stage]bool, error) {
	for {
		needed := make(map[*stage]bool)
		target.reach(needed)
		if r.opts.AllStages {
			for _, s := range r.stages {
				s.reach(needed)
			}
		}
		if err := r.lookUp(ctx, needed); err != nil {
			return nil, err
		}
		more := false
		for _, s := range r.stages {
			if !needed[s] || s.triggered {
				continue
			}
			added, err := r.addTriggers(s)
			if err != nil {
				return nil, err
			}
			more = more || added
		}
		if !more {
			return needed, r.checkCircles()
		}
	}
}

// lookUp finds the images that the needed stages start from and read. What is
// known already is not asked for again.
func (r *resolver) lookUp(ctx context.Context, needed map[*stage]bool) error {
	var uses []use
	for _, s := range r.stages {
		more, err := r.uses(s, needed[s])
		if err != nil {
			return err
		}
		if needed[s] {
			uses = append(uses, more...)
		}
	}
	if err := r.fetch(ctx, uses); err != nil {
		return err
	}
	for _, u := range uses {
		u.set(r.images[u.imageRequest])
	}
	return nil
}

// fetch looks up the images of uses, each once, side by side.
func (r *resolver) fetch(ctx context.Context, uses []use) error {
	var missing []use
	for _, u := range uses {
		if _, known := r.images[u.imageRequest]; !known {
			r.images[u.imageRequest] = nil
			missing = append(missing, u)
		}
	}
	found := make([]*plan.Image, len(missing))
	g, ctx := errgroup.WithContext(ctx)
	for i, u := range missing {
		g.Go(func() (err error) {
			if found[i], err = r.opts.Images.Resolve(ctx, u.ref, u.platform); err != nil {
				return r.imageError(u, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, u := range missing {
		r.images[u.imageRequest] = found[i]
	}
	return nil
}

// imageError says that an image could not be had, which is often a misspelt
// stage.
func (r *resolver) imageError(u use, err error) error {
	e := r.file.fail(u.at, "find image %s", u.written).because(err)
	if later := r.byName[strings.ToLower(u.written)]; later != nil {
		return e.hint("stage %s is defined below; a stage can start only from one above it", later.name)
	}
	if match := nearest(u.written, r.stageNames()); match != "" {
		return e.hint("there is no stage of that name; did you mean stage %s?", match)
	}
	var known interface{ Hint() string }
	if errors.As(err, &known) && known.Hint() != "" {
		return e.hint("%s", known.Hint())
	}
	return e
}

// uses lists the images of s. References that are not well formed are reported
// even if s is not needed.
func (r *resolver) uses(s *stage, needed bool) ([]use, error) {
	var uses []use
	if s.base == nil {
		u, isImage, err := r.baseUse(s)
		if err != nil {
			return nil, err
		}
		if isImage {
			uses = append(uses, u)
		}
	}
	for _, cmd := range s.commands {
		for _, from := range cmd.from {
			if from == nil || from.stage != nil || !needed {
				continue
			}
			u, isImage, err := r.sourceUse(from)
			if err != nil {
				return nil, err
			}
			if isImage {
				uses = append(uses, u)
			}
		}
	}
	return uses, nil
}

// baseUse returns the image that s starts from, if it is one.
func (r *resolver) baseUse(s *stage) (u use, isImage bool, err error) {
	name := s.override
	if name == "" {
		if s.baseName == scratch {
			return use{}, false, nil
		}
		name = r.contextFor(s.baseName)
	}
	ref := s.baseName
	if name != "" {
		var isImage bool
		if ref, isImage = r.contextImage(name); !isImage || ref == scratch {
			return use{}, false, nil
		}
	}
	platform := r.targetPlatform
	if s.platform != nil {
		platform = *s.platform
	}
	return r.use(ref, platform, ref, s.at, func(found *plan.Image) { s.image = found })
}

// sourceUse resolves a source that is no stage: to the image it returns, or at
// once.
func (r *resolver) sourceUse(from *source) (u use, isImage bool, err error) {
	ref := from.name
	if ref == scratch {
		from.origin = plan.Origin{Image: emptyImage(r.targetPlatform)}
		return use{}, false, nil
	}
	if name := r.contextFor(from.name); name != "" {
		var isImage bool
		if ref, isImage = r.contextImage(name); !isImage {
			from.origin = plan.Origin{Context: name}
			return use{}, false, nil
		}
		if ref == scratch {
			from.origin = plan.Origin{Image: emptyImage(r.targetPlatform)}
			return use{}, false, nil
		}
	}
	return r.use(ref, r.targetPlatform, from.name, from.at, func(found *plan.Image) { from.origin = plan.Origin{Image: found} })
}

func (r *resolver) use(ref string, platform ocispec.Platform, written string, at []parser.Range, set func(*plan.Image)) (use, bool, error) {
	u := use{platform: platform, written: written, at: at, set: set}
	u.imageRequest = imageRequest{ref: ref, platform: platforms.FormatAll(platform)}
	if strings.HasPrefix(ref, "oci-layout://") {
		return u, true, nil
	}
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		e := r.file.fail(at, "%q is not the name of an image", ref).because(err)
		if match := nearest(ref, r.stageNames()); match != "" {
			e.hint("did you mean stage %s?", match)
		}
		return use{}, false, e
	}
	return u, true, nil
}

// emptyImage is scratch where files are read from it.
func emptyImage(platform ocispec.Platform) *plan.Image {
	return &plan.Image{Ref: scratch, Name: scratch, Config: scratchConfig(platform)}
}
