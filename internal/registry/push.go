package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/progress"
)

// Image is what a push needs of an image besides its layers' bytes.
type Image struct {
	// MediaType and Manifest are the manifest's.
	MediaType string
	Manifest  []byte
	// ConfigType and Config are those of the config.
	ConfigType string
	Config     []byte
	// Layers are all its layers.
	Layers []*layer.Layer
}

// Pusher pushes one image to one or more repositories while it is being built.
type Pusher struct {
	client  *Client
	targets []target
	ctx     context.Context // of all uploads
	cancel  context.CancelCauseFunc
	group   errgroup.Group

	mu      sync.Mutex
	layers  map[*layer.Layer]bool
	uploads map[digest.Digest]*pushed
}

// target is a repository and the tags to set in it.
type target struct {
	repo name.Repository
	tags []string
}

// pushed is a blob that is being pushed; err is final when done is closed.
type pushed struct {
	done chan struct{}
	err  error
}

// errFinished ends what is left of a push after Close.
var errFinished = errors.New("push has ended")

// StartPush begins a push to refs, which are written as users write them. It
// logs in to the registries, so that wrong credentials are known before anything
// is built. The context it returns ends, with the cause, as soon as an upload
// has failed for good: what is done for the push's sake can stop then. The
// caller closes the Pusher.
func (c *Client) StartPush(ctx context.Context, refs []string) (*Pusher, context.Context, error) {
	targets, err := targetsOf(refs)
	if err != nil {
		return nil, nil, err
	}
	if len(targets) == 0 {
		return nil, nil, errors.New("push image: it has no name")
	}
	for _, t := range targets {
		if _, err := c.connectToPush(ctx, t.repo); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return &Pusher{
		client:  c,
		targets: targets,
		ctx:     ctx,
		cancel:  cancel,
		layers:  make(map[*layer.Layer]bool),
		uploads: make(map[digest.Digest]*pushed),
	}, ctx, nil
}

// start does an upload in the background; if it fails that is the end of all.
func (p *Pusher) start(upload func() error) {
	p.group.Go(func() error {
		err := upload()
		if err != nil {
			p.cancel(err)
		}
		return err
	})
}

// targetsOf groups refs by repository, in their order.
func targetsOf(refs []string) ([]target, error) {
	var targets []target
	for _, ref := range refs {
		p, err := parse(ref)
		if err != nil {
			return nil, err
		}
		if p.digest != "" {
			return nil, fmt.Errorf("image name %q: a digest cannot be pushed to, give a tag", ref)
		}
		i := slices.IndexFunc(targets, func(t target) bool { return t.repo.Name() == p.repo.Name() })
		if i < 0 {
			i = len(targets)
			targets = append(targets, target{repo: p.repo})
		}
		if !slices.Contains(targets[i].tags, p.tag) {
			targets[i].tags = append(targets[i].tags, p.tag)
		}
	}
	return targets, nil
}

// AddLayer pushes l as soon as it is written. It returns at once; what goes
// wrong is told by Finish. A layer may be added more than once.
func (p *Pusher) AddLayer(l *layer.Layer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.layers[l] {
		return
	}
	p.layers[l] = true
	p.start(func() error { return p.pushLayer(l) })
}

func (p *Pusher) pushLayer(l *layer.Layer) error {
	desc, err := l.Descriptor(p.ctx)
	if err != nil {
		return err
	}
	if !distributable(desc.MediaType) {
		return nil // the manifest says where it can be had
	}
	src, err := l.Blob(p.ctx)
	if err != nil {
		return err
	}
	b := content{desc: desc, open: src.Open}
	if base, ok := src.(*source); ok {
		b.from = &base.repo
	}
	return p.pushOnce(b)
}

// distributable reports whether a layer may be pushed. Those of Windows are not:
// OCI image layer specification, "Non-Distributable Layers".
func distributable(mediaType string) bool {
	return !strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.nondistributable.") &&
		!strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.")
}

// pushOnce pushes a blob to all targets, once for all layers that have it.
func (p *Pusher) pushOnce(b content) error {
	p.mu.Lock()
	u, begun := p.uploads[b.desc.Digest]
	if !begun {
		u = &pushed{done: make(chan struct{})}
		p.uploads[b.desc.Digest] = u
	}
	p.mu.Unlock()
	if begun {
		select {
		case <-u.done:
			return u.err
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	defer close(u.done)
	for _, t := range p.targets {
		if u.err = p.client.upload(p.ctx, t.repo, b); u.err != nil {
			return u.err
		}
		if b.from == nil || b.from.RegistryStr() != t.repo.RegistryStr() {
			b.from = &t.repo // the next may take it from there
		}
	}
	return nil
}

// Finish waits for the uploads, pushes what img has beyond them, and then sets
// the tags: nobody sees a tag before everything it stands for is there.
func (p *Pusher) Finish(ctx context.Context, img Image) (err error) {
	for _, t := range p.targets {
		for _, tag := range t.tags {
			task := p.client.options.Progress.Start(progress.Task{Name: fmt.Sprintf("push %s/%s:%s", hostName(t.repo), t.repo.RepositoryStr(), tag)})
			defer func() { task.End(progress.Done, err) }()
		}
	}
	for _, l := range img.Layers {
		p.AddLayer(l)
	}
	config := content{
		desc: ocispec.Descriptor{MediaType: img.ConfigType, Digest: digest.FromBytes(img.Config), Size: int64(len(img.Config))},
		open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(img.Config)), nil },
	}
	p.start(func() error { return p.pushOnce(config) })
	if err := p.group.Wait(); err != nil {
		return err
	}
	for _, t := range p.targets {
		for _, tag := range t.tags {
			if err := p.client.putManifest(ctx, t.repo, tag, img); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends what Finish has not waited for.
func (p *Pusher) Close() {
	p.cancel(errFinished)
	_ = p.group.Wait() // what failed is Finish's to tell
}

// putManifest sets a tag.
func (c *Client) putManifest(ctx context.Context, repo name.Repository, tag string, img Image) error {
	cn, err := c.connectToPush(ctx, repo)
	if err != nil {
		return err
	}
	op := "push manifest " + tag
	return c.retries.do(ctx, op, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, cn.url("manifests", tag).String(), bytes.NewReader(img.Manifest))
		if err != nil {
			return final("%s: %w", op, err)
		}
		req.Header.Set("Content-Type", img.MediaType)
		resp, err := cn.send(op, req, http.StatusCreated, http.StatusAccepted, http.StatusOK)
		if err != nil {
			return err
		}
		want := digest.FromBytes(img.Manifest).String()
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != want {
			return errors.Join(final("%s: the registry has stored another manifest: %s in place of %s", op, got, want), drain(resp))
		}
		return drain(resp)
	})
}
