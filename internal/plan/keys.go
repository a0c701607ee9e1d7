package plan

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/layer"
)

// keyVersion changes whenever what goes into a key does: then no key is ever
// taken for one of before.
const keyVersion = "kiln key 1"

// Inputs identifies what a plan reads besides its own text.
type Inputs interface {
	// CopyDigest identifies the files that a copy takes from a source tree, or
	// downloads.
	CopyDigest(ctx context.Context, c *Copy) (digest.Digest, error)
	// MountDigest identifies the files that a bind mount shows of a source tree.
	MountDigest(ctx context.Context, m *Mount) (digest.Digest, error)
}

// Keys fills in the keys of p. They are functions of the inputs alone, so all
// are known before anything runs.
//
// A key stands for what is in the layers, and nothing else: a step that only
// changes the config leaves the state's key as it is. What of the config has a
// part in a later step (variables, user, working directory, shell) is there
// among its own inputs. So a LABEL before a RUN changes no key, an ENV does.
func Keys(ctx context.Context, p *Plan, in Inputs) error {
	digests, err := readInputs(ctx, p, in)
	if err != nil {
		return err
	}
	k := &keys{digests: digests, stages: make(map[*Stage]digest.Digest)}
	for _, stage := range p.Stages {
		if err := k.stage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// StepError says which step something failed for.
type StepError struct {
	At   Location
	Text string
	Err  error
}

// Error names the place, the instruction and the cause.
func (e *StepError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %v", e.At.File, e.At.Start, e.Text, e.Err)
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Location returns the place in the Dockerfile.
func (e *StepError) Location() Location { return e.At }

// readers is how many inputs are read at once.
const readers = 4

// readInputs has everything that the plan reads of source trees identified, side
// by side. The result is by *Copy and *Mount.
func readInputs(ctx context.Context, p *Plan, in Inputs) (map[any]digest.Digest, error) {
	type job struct {
		of   any
		read func(context.Context) (digest.Digest, error)
		step *Step
	}
	var jobs []job
	for _, stage := range p.Stages {
		for _, step := range stage.Steps {
			switch op := step.Op.(type) {
			case *Copy:
				if op.readsFiles() {
					jobs = append(jobs, job{op, func(ctx context.Context) (digest.Digest, error) { return in.CopyDigest(ctx, op) }, step})
				}
			case *Run:
				for i := range op.Mounts {
					if m := &op.Mounts[i]; m.readsFiles() {
						jobs = append(jobs, job{m, func(ctx context.Context) (digest.Digest, error) { return in.MountDigest(ctx, m) }, step})
					}
				}
			}
		}
	}
	found := make([]digest.Digest, len(jobs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, j := range jobs {
		g.Go(func() (err error) {
			if found[i], err = j.read(ctx); err != nil {
				return &StepError{At: j.step.At, Text: j.step.Text, Err: err}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	digests := make(map[any]digest.Digest, len(jobs))
	for i, j := range jobs {
		digests[j.of] = found[i]
	}
	return digests, nil
}

// readsFiles reports whether what is copied has to be looked at: files of a
// source tree, and what is downloaded.
func (c *Copy) readsFiles() bool {
	tree := c.From.Stage == nil && c.From.Image == nil
	return slices.ContainsFunc(c.Sources, func(s Source) bool {
		return s.Path != "" && tree || s.URL != "" || s.Git != ""
	})
}

// readsFiles reports whether the mount shows files of a source tree. A cache
// that starts with such files is not known by them: it is not filled again when
// they change.
func (m *Mount) readsFiles() bool {
	return m.Type == "bind" && m.From.Stage == nil && m.From.Image == nil
}

// keys is what is known so far.
type keys struct {
	digests map[any]digest.Digest
	// stages holds the key of what each stage leaves behind.
	stages map[*Stage]digest.Digest
}

// stage sets the keys of one stage.
func (k *keys) stage(ctx context.Context, s *Stage) error {
	state, err := k.base(ctx, s)
	if err != nil {
		return err
	}
	s.Key = state
	for _, step := range s.Steps {
		switch op := step.Op.(type) {
		case *Run:
			state, err = k.run(ctx, state, s.Platform, op)
			step.Key = state
		case *Copy:
			state, step.Key, err = k.copy(ctx, state, op)
		case *Workdir:
			h := newFrames("workdir", state)
			h.text(op.Path, op.User)
			state = h.sum()
			step.Key = state
		default:
			step.Key = state
		}
		if err != nil {
			return &StepError{At: step.At, Text: step.Text, Err: err}
		}
	}
	k.stages[s] = state
	return nil
}

// base returns the key of what a stage starts from: of an image, its layers.
func (k *keys) base(ctx context.Context, s *Stage) (digest.Digest, error) {
	switch {
	case s.Base.Stage != nil:
		return k.stages[s.Base.Stage], nil
	case s.Base.Image != nil:
		return imageKey(ctx, s.Base.Image.Layers)
	}
	return imageKey(ctx, nil)
}

func imageKey(ctx context.Context, layers []*layer.Layer) (digest.Digest, error) {
	h := newFrames("image", "")
	for _, l := range layers {
		id, err := l.DiffID(ctx)
		if err != nil {
			return "", err
		}
		h.text(id.String())
	}
	return h.sum(), nil
}

// origin returns the key of where files are taken from; "" for a source tree,
// whose files are known by a digest.
func (k *keys) origin(ctx context.Context, from Origin) (digest.Digest, error) {
	switch {
	case from.Stage != nil:
		return k.stages[from.Stage], nil
	case from.Image != nil:
		return imageKey(ctx, from.Image.Layers)
	}
	return "", nil
}

// run returns the key of the state after a RUN.
func (k *keys) run(ctx context.Context, before digest.Digest, platform ocispec.Platform, op *Run) (digest.Digest, error) {
	h := newFrames("run", before)
	h.text(platform.OS, platform.Architecture, platform.Variant, platform.OSVersion)
	h.list(op.Args)
	h.list(op.visibleEnv())
	h.text(op.Dir, op.User, op.Hostname, op.Network)
	h.bool(op.Insecure)
	h.number(uint64(len(op.Devices)))
	for _, d := range op.Devices {
		h.text(d.Name)
		h.bool(d.Required)
	}
	h.number(uint64(len(op.Mounts)))
	for i := range op.Mounts {
		if err := k.mount(ctx, h, &op.Mounts[i]); err != nil {
			return "", err
		}
	}
	return h.sum(), nil
}

// visibleEnv returns the variables that count, in an order that does not depend
// on that of the instructions.
func (r *Run) visibleEnv() []string {
	var visible []string
	for _, entry := range r.Env {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.Contains(r.HiddenEnv, name) {
			visible = append(visible, entry)
		}
	}
	slices.Sort(visible)
	return visible
}

// mount writes what counts of a mount. What is in a cache does not, nor does
// what a secret is.
func (k *keys) mount(ctx context.Context, h frames, m *Mount) error {
	from, err := k.origin(ctx, m.From)
	if err != nil {
		return err
	}
	h.text(m.Type, m.Target, from.String(), m.Source, m.ID, m.Env, string(m.Content), k.digests[m].String())
	h.bool(m.ReadOnly)
	h.number(uint64(m.Size))
	for _, n := range []*uint64{m.Mode, m.UID, m.GID} {
		h.bool(n != nil)
		if n != nil {
			h.number(*n)
		}
	}
	return nil
}

// copy returns the key of the state after a COPY or ADD, and that of its layer.
// They differ for --link, where the layer is the same whatever is below.
func (k *keys) copy(ctx context.Context, before digest.Digest, op *Copy) (state, made digest.Digest, err error) {
	below := before
	if op.Link {
		below = ""
	}
	h := newFrames("copy", below)
	from, err := k.origin(ctx, op.From)
	if err != nil {
		return "", "", err
	}
	h.text(from.String(), k.digests[op].String())
	h.number(uint64(len(op.Sources)))
	for _, s := range op.Sources {
		h.text(s.Path, s.URL, s.Git)
		h.bool(s.Inline != nil)
		if s.Inline != nil {
			h.text(s.Inline.Name, string(s.Inline.Content))
		}
	}
	h.text(op.Dest, op.Chown, op.Chmod, op.Checksum)
	h.list(op.Excludes)
	h.bool(op.Add, op.Link, op.Parents, op.KeepGitDir, op.Unpack != nil, op.Unpack != nil && *op.Unpack)
	made = h.sum()
	if !op.Link {
		return made, made, nil
	}
	h = newFrames("link", before)
	h.text(made.String())
	return h.sum(), made, nil
}

// frames hashes fields so that no two different lists of fields are hashed the
// same: each is preceded by its length.
type frames struct{ hash.Hash }

// newFrames starts the key of something done to the state before.
func newFrames(what string, before digest.Digest) frames {
	h := frames{sha256.New()}
	h.text(keyVersion, what, before.String())
	return h
}

func (h frames) text(fields ...string) {
	for _, s := range fields {
		h.number(uint64(len(s)))
		_, _ = io.WriteString(h, s) // a hash does not fail
	}
}

func (h frames) list(list []string) {
	h.number(uint64(len(list)))
	h.text(list...)
}

func (h frames) bool(flags ...bool) {
	for _, b := range flags {
		n := uint64(0)
		if b {
			n = 1
		}
		h.number(n)
	}
}

func (h frames) number(n uint64) {
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], n)
	_, _ = h.Write(buf[:])
}

func (h frames) sum() digest.Digest { return digest.NewDigest(digest.SHA256, h) }
