package solve

import (
	"context"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/cache"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/progress"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/tree"
)

// State is what a step starts from and ends with: layers and a config. The
// config's rootfs and created fields are filled in when the image is assembled.
type State struct {
	// Layers are the image's layers, the lowest first. Those of this build may
	// still be being written.
	Layers []*layer.Layer
	// Config is shared with the plan: do not modify it.
	Config *dockerspec.DockerOCIImage
	// History has one entry an instruction; Created is nil for those that made
	// no layer in this build.
	History []ocispec.History
}

// Engines gives the engine that RUN needs. It is asked only if something has to
// run, so that builds without RUN need no rights at all.
type Engines interface {
	Engine(ctx context.Context) (rootfs.Engine, error)
}

// Cache finds and keeps the layers of steps by key.
type Cache interface {
	// Find returns the layer recorded for key, nil if there is none.
	Find(ctx context.Context, key digest.Digest) (*cache.Hit, error)
	// Keep records l, once it is written, as the layer of key.
	Keep(ctx context.Context, key digest.Digest, hit cache.Hit) error
}

// Copier makes the deltas of the instructions that need no root filesystem.
type Copier interface {
	// Copy does a COPY or ADD from src (the view of op.From) into dest.
	Copy(ctx context.Context, op *plan.Copy, src, dest tree.View) (layer.Delta, error)
	// Workdir makes a directory in dest.
	Workdir(ctx context.Context, op *plan.Workdir, dest tree.View) (layer.Delta, error)
}

// Views gives the views that steps read.
type Views interface {
	// Source returns a source tree: "" is the build's own.
	Source(ctx context.Context, name string) (tree.View, error)
	// Layers returns what a list of layers shows.
	Layers(ctx context.Context, layers []*layer.Layer) (tree.View, error)
}

// Processes makes the process of a RUN. release is called when the process
// has ended and its changes have been taken.
type Processes interface {
	Process(ctx context.Context, op *plan.Run, origins Origins) (p proc.Spec, release func() error, err error)
}

// Origins gives the layers that the mounts of a RUN are taken from.
type Origins interface {
	Origin(ctx context.Context, from plan.Origin) ([]*layer.Layer, error)
}

// Solver executes plans. All fields are required.
type Solver struct {
	Engines   Engines
	Cache     Cache
	Copier    Copier
	Views     Views
	Processes Processes
	// Writer writes the layers.
	Writer *layer.Writer
	// OnLayer is told each layer of the result as soon as it is there, lowest
	// first, possibly before it is written.
	OnLayer  func(*layer.Layer)
	Progress *progress.Reporter
	// Now is the clock that created times are read from.
	Now func() time.Time
}

// Solve executes p and returns the target's state, its layers written.
func (s *Solver) Solve(ctx context.Context, p *plan.Plan) (State, error) {
	hits, err := Probe(ctx, s.Cache, p)
	if err != nil {
		return State{}, err
	}
	needed := Needed(p, hits)
	engine, err := s.engineFor(ctx, needed, hits)
	if err != nil {
		return State{}, err
	}
	g, ctx := errgroup.WithContext(ctx)
	run := newRun(s, g, engine, hits, needed)
	run.start(ctx, p)
	if err := g.Wait(); err != nil {
		return State{}, err
	}
	return run.result(p.Target), nil
}

// engineFor returns the engine if a needed step has to run, else nil.
func (s *Solver) engineFor(ctx context.Context, needed map[*plan.Stage]bool, hits Hits) (rootfs.Engine, error) {
	for stage := range needed {
		for _, step := range stage.Steps {
			if _, isRun := step.Op.(*plan.Run); isRun && hits[step] == nil {
				return s.Engines.Engine(ctx)
			}
		}
	}
	return nil, nil
}
