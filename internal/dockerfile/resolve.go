package dockerfile

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/plan"
)

// Images finds images.
type Images interface {
	// Resolve looks up ref, as users write it, for platform. A ref of a named
	// context may start with "oci-layout://". The result is not modified. Safe
	// for concurrent use.
	Resolve(ctx context.Context, ref string, platform ocispec.Platform) (*plan.Image, error)
}

// Options is what a Dockerfile is resolved for.
type Options struct {
	// Target names the stage to build, or is its number from 0; "" is the last.
	Target string
	// BuildArgs are the values of ARGs.
	BuildArgs map[string]string
	// Platform is what to build for, nil for BuildPlatform.
	Platform *ocispec.Platform
	// BuildPlatform is what commands run on; the zero value is this machine.
	BuildPlatform ocispec.Platform
	// Images finds base images and those that files are copied from.
	Images Images
	// Contexts are the named contexts (--build-context): a name, and where it
	// is. "docker-image://" and "oci-layout://" are images and go to Images;
	// all others are source trees, which the plan calls by name.
	Contexts map[string]string
	// Ignore are the patterns of the source tree's ignore file. They serve a
	// check only.
	Ignore []string
	// AllStages resolves the stages that Target does not need, too.
	AllStages bool
}

// Resolve makes the plan of what opts asks for. Stages that the target does not
// need are checked for what can be seen without their base, but neither
// resolved nor part of the plan, unless opts wants them all. Base images are
// looked up side by side.
//
// Errors are of type [*Error]. Warnings are returned with an error, too.
func Resolve(ctx context.Context, f *File, opts Options) (*plan.Plan, []Warning, error) {
	check := f.check
	if override, ok := opts.BuildArgs["BUILDKIT_DOCKERFILE_CHECK"]; ok {
		check = override
	}
	report, lint, err := newReport(f, check)
	if err != nil {
		return nil, nil, err
	}
	r := newResolver(f, opts, lint)
	r.hints = report.hints
	p, err := r.resolve(ctx)
	if err == nil {
		err = report.err()
	}
	if err != nil {
		return nil, report.sorted(), err
	}
	return p, report.sorted(), nil
}

// Lint returns what the checks find in all stages that opts asks for, those the
// target does not need included. An error is what Resolve fails with; there are
// warnings then, too.
func Lint(ctx context.Context, f *File, opts Options) ([]Warning, error) {
	opts.AllStages = opts.Target == ""
	_, warnings, err := Resolve(ctx, f, opts)
	return warnings, err
}

// resolver is one resolution of a file.
type resolver struct {
	file *File
	opts Options
	lint *linter.Linter
	lex  *shell.Lex
	// hints says what is to be done about a warning, by its message.
	hints map[string]string

	buildArgs      map[string]string
	targetPlatform ocispec.Platform  // what to build for
	buildPlatform  ocispec.Platform  // what to build on
	contexts       map[string]string // the names of named contexts, as looked up
	globals        env               // what FROM sees: platform ARGs and those before the first FROM
	declared       []string          // the ARGs before the first FROM
	argLines       map[string]int    // where ARGs of stages are first declared
	epoch          *time.Time        // what SOURCE_DATE_EPOCH says, nil for nothing

	stages []*stage // in the order of the file
	byName map[string]*stage
	images map[imageRequest]*plan.Image
	done   map[*stage]bool // those in the plan
}

func newResolver(f *File, opts Options, lint *linter.Linter) *resolver {
	r := &resolver{
		file: f, opts: opts, lint: lint, lex: shell.NewLex(f.escape),
		buildArgs:     maps.Clone(opts.BuildArgs),
		buildPlatform: opts.BuildPlatform,
		byName:        make(map[string]*stage),
		images:        make(map[imageRequest]*plan.Image),
		done:          make(map[*stage]bool),
	}
	if r.buildPlatform.OS == "" {
		r.buildPlatform = platforms.Normalize(platforms.DefaultSpec())
	}
	r.targetPlatform = r.buildPlatform
	if opts.Platform != nil {
		r.targetPlatform = *opts.Platform
	}
	return r
}

// resolve is the resolution from top to bottom.
func (r *resolver) resolve(ctx context.Context) (*plan.Plan, error) {
	declarations, globals, err := r.file.instructions(r.lint)
	if err != nil {
		return nil, err
	}
	r.lintFile(declarations)
	if err := r.setContexts(); err != nil {
		return nil, err
	}
	if err := r.setGlobals(declarations, globals); err != nil {
		return nil, err
	}
	if err := r.declareStages(declarations); err != nil {
		return nil, err
	}
	target, err := r.target()
	if err != nil {
		return nil, err
	}
	if err := r.connectStages(); err != nil {
		return nil, err
	}
	needed, err := r.prepareNeeded(ctx, target)
	if err != nil {
		return nil, err
	}
	return r.walk(needed, target)
}

// walk turns the needed stages into those of the plan, in the order of the
// file: what a stage needs comes before it.
func (r *resolver) walk(needed map[*stage]bool, target *stage) (*plan.Plan, error) {
	p := &plan.Plan{Epoch: r.epoch}
	for _, s := range r.stages {
		if !needed[s] {
			continue
		}
		if err := r.walkStage(s); err != nil {
			return nil, err
		}
		r.done[s] = true
		p.Stages = append(p.Stages, s.plan)
	}
	p.Target = target.plan
	r.finish(target)
	return p, nil
}

// finish makes the config of the result say what it was built for: with
// --platform that, whatever the base says (finalizeResultImage).
func (r *resolver) finish(target *stage) {
	config := target.plan.Config()
	final := edit(config, func(c *image) {
		if r.opts.Platform != nil {
			setPlatform(c, r.targetPlatform)
		}
		c.Platform = platforms.Normalize(c.Platform)
	})
	if n := len(target.plan.Steps); n > 0 {
		target.plan.Steps[n-1].Config = final
	} else {
		target.plan.Base.Config = final
	}
}

func setPlatform(c *image, p ocispec.Platform) {
	same := c.OS == p.OS && c.Architecture == p.Architecture
	c.OS, c.Architecture = p.OS, p.Architecture
	if p.Variant != "" || !same {
		c.Variant = p.Variant
	}
	if p.OSVersion != "" || !same {
		c.OSVersion = p.OSVersion
	}
	if p.OSFeatures != nil {
		c.OSFeatures = slices.Clone(p.OSFeatures)
	}
}

// target returns the stage to build.
func (r *resolver) target() (*stage, error) {
	name := r.opts.Target
	if name == "" {
		return r.stages[len(r.stages)-1], nil
	}
	if s := r.stage(name, len(r.stages)); s != nil {
		return s, nil
	}
	e := r.file.fail(nil, "there is no stage %q", name)
	names := r.stageNames()
	if match := nearest(name, names); match != "" {
		return nil, e.hint("did you mean %s?", match)
	}
	if len(names) == 0 {
		return nil, e.hint("no stage has a name; give it one with FROM image AS %s", strings.ToLower(name))
	}
	return nil, e.hint("the stages are %s", strings.Join(names, ", "))
}

// instruction is one instruction of a stage, with the stages and images that
// it reads files from.
type instruction struct {
	instructions.Command
	// from has the one source of a COPY, or one for each mount of a RUN.
	from []*source
	// triggered is set for one that comes from an ONBUILD.
	triggered bool
}
