package build

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/buildcontext"
	"github.com/kiln-build/kiln/internal/cache"
	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/mount"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/engines"
	"github.com/kiln-build/kiln/internal/rootfs/overlay"
	"github.com/kiln-build/kiln/internal/solve"
	"github.com/kiln-build/kiln/internal/step"
	"github.com/kiln-build/kiln/internal/store"
	"github.com/kiln-build/kiln/internal/tree"
)

// rooms holds the rooms of one build and puts each in the places where the
// others need it.
type rooms struct {
	Options
	epoch      *time.Time // of the plan, once there is one
	dockerfile buildcontext.Dockerfile
	ignore     *buildcontext.Ignore
	source     *buildcontext.Dir
	named      map[string]*buildcontext.Dir // the source trees of --build-context
	agents     map[string]mount.Agent
	store      *store.Store
	registry   *registry.Client
	contents   *tree.StoredContents
	copier     *step.Copier
}

func openRooms(o Options) (_ *rooms, err error) {
	r := &rooms{Options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.dockerfile, err = buildcontext.ReadDockerfile(o.Context, o.Dockerfile, o.Stdin); err != nil {
		return nil, err
	}
	if r.ignore, err = buildcontext.ReadIgnore(o.Context, r.dockerfile.Path); err != nil {
		return nil, err
	}
	if r.source, err = buildcontext.Open(o.Context, r.ignore); err != nil {
		return nil, err
	}
	if r.named, err = openNamed(o.Contexts); err != nil {
		return nil, err
	}
	if r.agents, err = agents(o.SSH); err != nil {
		return nil, err
	}
	if r.store, err = store.Open(o.Root); err != nil {
		return nil, err
	}
	if err := r.source.Hide(r.store.Dir()); err != nil {
		return nil, err
	}
	r.registry = registry.NewClient(r.store, registry.Options{
		InsecureRegistries: o.InsecureRegistries,
		CredentialFiles:    o.CredentialFiles,
		AnonymousOK:        true,
		Progress:           o.Progress,
	})
	r.contents = tree.NewContents(unpacked{r.store})
	r.copier = &step.Copier{Scratch: r.store.Scratch, Now: r.now}
	return r, nil
}

// openNamed opens the named contexts that are directories. Each has its own
// .dockerignore, as in BuildKit.
func openNamed(contexts map[string]string) (map[string]*buildcontext.Dir, error) {
	named := make(map[string]*buildcontext.Dir)
	for name, where := range contexts {
		if strings.Contains(where, "://") {
			continue // an image, or an error that names the instruction
		}
		ignore, err := buildcontext.ReadIgnore(where, "")
		if err != nil {
			return named, fmt.Errorf("open named context %s: %w", name, err)
		}
		if named[name], err = buildcontext.Open(where, ignore); err != nil {
			delete(named, name)
			return named, fmt.Errorf("open named context %s: %w", name, err)
		}
	}
	return named, nil
}

// close closes the rooms, those that need others first.
func (r *rooms) close() error {
	var errs []error
	if r.copier != nil {
		errs = append(errs, r.copier.Close())
	}
	if r.contents != nil {
		errs = append(errs, r.contents.Close())
	}
	if r.registry != nil {
		r.registry.Close()
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	for _, dir := range r.named {
		errs = append(errs, dir.Close())
	}
	if r.source != nil {
		errs = append(errs, r.source.Close())
	}
	return errors.Join(errs...)
}

// now is the clock of the build: it stands still where the plan fixes the time.
func (r *rooms) now() time.Time {
	if r.epoch != nil {
		return *r.epoch
	}
	return time.Now()
}

// resolveOptions says what the Dockerfile is resolved for.
func (r *rooms) resolveOptions() (dockerfile.Options, error) {
	o := dockerfile.Options{
		Target:    r.Target,
		BuildArgs: r.BuildArgs,
		Images:    r.registry,
		Contexts:  r.Contexts,
		Ignore:    r.ignore.Patterns(),
	}
	if r.Platform != "" {
		p, err := platforms.Parse(r.Platform)
		if err != nil {
			return o, fmt.Errorf("read platform %q: %w", r.Platform, err)
		}
		p = platforms.Normalize(p)
		o.Platform = &p
	}
	return o, nil
}

// solver returns a solver that is given these rooms.
func (r *rooms) solver(d *delivery) *solve.Solver {
	return &solve.Solver{
		Engines:   r,
		Cache:     r.cache(),
		Copier:    r.copier,
		Views:     r,
		Processes: processes{r.mounts()},
		Writer:    layer.NewWriter(r.store, r.layerOptions()),
		OnLayer:   d.layer,
		Progress:  r.Progress,
		Now:       r.now,
	}
}

func (r *rooms) layerOptions() layer.Options {
	compression := layer.Gzip
	switch r.Compression {
	case "zstd":
		compression = layer.Zstd
	case "none":
		compression = layer.None
	}
	return layer.Options{
		Compression: compression,
		Level:       r.CompressionLevel,
		Docker:      r.Format == "docker",
		Indexes:     r.store,
	}
}

func (r *rooms) cache() solve.Cache {
	o := r.layerOptions()
	local := cache.NewLocal(r.store, r.store, o.Compression.String()+strconv.Itoa(o.Level))
	if r.NoCache {
		return cache.WriteOnly{Local: local}
	}
	return local
}

// Engine implements [solve.Engines].
func (r *rooms) Engine(ctx context.Context) (rootfs.Engine, error) {
	engine, report, err := engines.Select(ctx, engines.Options{
		Name: r.Options.Engine, Store: r.store,
		Container: r.Container, Force: r.Force, Keep: r.keep(),
	})
	if err != nil {
		return nil, err
	}
	r.Log.Debug("engine chosen", "engine", engine.Name(), "probes", report.String())
	return engine, nil
}

// keep returns what the build still needs, as absolute paths, while kiln's own
// root filesystem holds that of a stage.
func (r *rooms) keep() []string {
	paths := []string{r.store.Dir(), r.Options.Context, r.dockerfile.Path}
	paths = append(paths, r.Keep...)
	paths = append(paths, r.CredentialFiles...)
	for _, o := range r.Outputs {
		paths = append(paths, o.Dest)
	}
	for _, s := range r.Secrets {
		paths = append(paths, s.File)
	}
	for _, files := range r.SSH {
		paths = append(paths, files...)
	}
	for name := range r.named {
		paths = append(paths, r.Contexts[name])
	}
	var keep []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err == nil && path != "" && path != "-" {
			keep = append(keep, abs)
		}
	}
	return keep
}

// Source implements [solve.Views].
func (r *rooms) Source(_ context.Context, name string) (tree.View, error) {
	if name == "" {
		return r.source, nil
	}
	if dir := r.named[name]; dir != nil {
		return dir, nil
	}
	return nil, fmt.Errorf("named context %q is not known", name)
}

// Layers implements [solve.Views].
func (r *rooms) Layers(ctx context.Context, layers []*layer.Layer) (tree.View, error) {
	return tree.Load(ctx, layers, r.contents)
}

// CopyDigest implements [plan.Inputs].
func (r *rooms) CopyDigest(ctx context.Context, op *plan.Copy) (digest.Digest, error) {
	source, err := r.Source(ctx, op.From.Context)
	if err != nil {
		return "", err
	}
	return r.copier.Digest(ctx, op, source)
}

// MountDigest implements [plan.Inputs].
func (r *rooms) MountDigest(ctx context.Context, m *plan.Mount) (digest.Digest, error) {
	return r.CopyDigest(ctx, &plan.Copy{From: m.From, Sources: []plan.Source{{Path: m.Source}}, Dest: "/"})
}

func (r *rooms) mounts() *mount.Maker {
	return &mount.Maker{
		Sources: r,
		Caches:  cache.NewMounts(filepath.Join(r.store.Dir(), "mounts")),
		Secrets: secrets(r.Secrets),
		Agents:  &mount.Forwarder{Agents: r.agents, Scratch: r.store.Scratch},
		Scratch: r.store.Scratch,
	}
}

// Files implements [mount.Sources]: what COPY would copy of path.
func (r *rooms) Files(ctx context.Context, from plan.Origin, layers []*layer.Layer, path string) (layer.Delta, string, error) {
	view, err := r.view(ctx, from, layers)
	if err != nil {
		return nil, "", err
	}
	at, err := tree.Resolve(view, path)
	if err != nil {
		return nil, "", err
	}
	e, err := view.Lstat(at)
	if err != nil {
		return nil, "", fmt.Errorf("find %s: %w", path, err)
	}
	file := ""
	if e.Type != layer.Dir {
		file = layer.Base(at)
	}
	empty, err := tree.Load(ctx, nil, r.contents)
	if err != nil {
		return nil, "", err
	}
	op := &plan.Copy{Sources: []plan.Source{{Path: at}}, Dest: "/" + file}
	files, err := r.copier.Copy(ctx, op, view, empty)
	return files, file, err
}

func (r *rooms) view(ctx context.Context, from plan.Origin, layers []*layer.Layer) (tree.View, error) {
	if from.Stage == nil && from.Image == nil {
		return r.Source(ctx, from.Context)
	}
	return r.Layers(ctx, layers)
}

// unpacked tells a tree where an engine has put the files of a layer.
type unpacked struct{ *store.Store }

// LayerDir implements [tree.Store].
func (u unpacked) LayerDir(diffID digest.Digest) (string, bool) {
	kept, ok := u.Store.LayerDir(diffID)
	return overlay.Files(kept), ok
}
