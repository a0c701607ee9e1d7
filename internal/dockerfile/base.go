package dockerfile

import (
	"context"
	"errors"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
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
	at       []parser.Range
	// check warns if the image is not for the platform.
	check bool
	set   func(*plan.Image)
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
		// What is not well formed is reported even if s is not needed.
		more, err := r.uses(s)
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
		found := r.images[u.imageRequest]
		r.lintPlatform(u, found)
		u.set(found)
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
	e := r.file.fail(u.at, "find image %s", u.ref).because(err)
	if later := r.byName[strings.ToLower(u.ref)]; later != nil {
		return e.hint("stage %s is defined below; a stage can start only from one above it", later.name)
	}
	if match := nearest(u.ref, r.stageNames()); match != "" {
		return e.hint("no stage has that name; did you mean %s?", match)
	}
	var known interface{ Hint() string }
	if errors.As(err, &known) && known.Hint() != "" {
		return e.hint("%s", known.Hint())
	}
	if match := nearest(u.ref, []string{"alpine", "busybox", "centos", "debian", "fedora", "golang", "ubuntu"}); match != "" {
		return e.hint("did you mean %s?", match)
	}
	return e
}

// uses lists the images of s.
func (r *resolver) uses(s *stage) (uses []use, err error) {
	if s.base == nil {
		p := r.provide(s.baseName, s.override)
		platform := r.targetPlatform
		if s.platform != nil {
			platform = *s.platform
		}
		if p.ref != "" {
			uses = append(uses, use{
				imageRequest: imageRequest{ref: p.ref}, platform: platform, at: s.at, check: p.context == "",
				set: func(found *plan.Image) { s.image = found },
			})
		}
	}
	for _, cmd := range s.commands {
		_, isCopy := cmd.Command.(*instructions.CopyCommand)
		for _, from := range cmd.from {
			if from == nil || from.stage != nil {
				continue
			}
			p := r.provide(from.name, "")
			from.origin = plan.Origin{Context: p.context}
			if p.empty {
				from.origin = plan.Origin{Image: emptyImage(r.targetPlatform)}
			}
			if p.ref != "" {
				uses = append(uses, use{
					imageRequest: imageRequest{ref: p.ref}, platform: r.targetPlatform, at: from.at, check: p.context == "" && isCopy,
					set: func(found *plan.Image) { from.origin = plan.Origin{Image: found} },
				})
			}
		}
	}
	for i, u := range uses {
		if err := r.checkReference(u); err != nil {
			return nil, err
		}
		uses[i].imageRequest.platform = platforms.FormatAll(u.platform)
	}
	return uses, nil
}

// provider is what a name that is no stage stands for.
type provider struct {
	// empty is set for scratch, which has no files.
	empty bool
	// ref is the image, "" for none.
	ref string
	// context is the named context, "" if none has to do with it. Without a ref
	// it is a source tree.
	context string
}

// provide finds out what a name stands for. context is the named context that
// takes its place for sure, "" to look for one.
func (r *resolver) provide(name, context string) provider {
	if context == "" && name == scratch {
		return provider{empty: true}
	}
	if context == "" {
		context = r.contextFor(name)
	}
	if context == "" {
		return provider{ref: name}
	}
	ref, isImage := r.contextImage(context)
	switch {
	case !isImage:
		return provider{context: context}
	case ref == scratch:
		return provider{context: context, empty: true}
	}
	return provider{context: context, ref: ref}
}

// checkReference checks how the name of an image is written.
func (r *resolver) checkReference(u use) error {
	if strings.HasPrefix(u.ref, ociLayout) {
		return nil
	}
	if _, err := reference.ParseNormalizedNamed(u.ref); err != nil {
		e := r.file.fail(u.at, "%q is not the name of an image", u.ref).because(err)
		if match := nearest(u.ref, r.stageNames()); match != "" {
			e.Advice = "did you mean stage " + match + "?"
		}
		return e
	}
	return nil
}

// emptyImage is scratch where files are read from it.
func emptyImage(platform ocispec.Platform) *plan.Image {
	return &plan.Image{Ref: scratch, Name: scratch, Config: scratchConfig(platform)}
}
