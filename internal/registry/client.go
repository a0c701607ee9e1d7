package registry

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/singleflight"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/progress"
	"github.com/kiln-build/kiln/internal/store"
)

// Options say how a Client behaves. The zero value is a client without
// credentials.
type Options struct {
	// InsecureRegistries are hosts ("name" or "name:port") that are spoken to
	// in HTTPS without verification or, where there is no TLS, in HTTP.
	// Addresses of this machine always are.
	InsecureRegistries []string
	// CredentialFiles are where credentials are looked up; see [CredentialFiles].
	CredentialFiles []string
	// AnonymousOK lets a pull go on without credentials where they cannot be
	// had or are refused: expired ones should not stand in the way of a public
	// image.
	AnonymousOK bool
	// UserAgent is what kiln calls itself, "" for "kiln".
	UserAgent string
	// Parallel is how many blobs are downloaded, and how many are uploaded, at
	// the same time; 0 means 4.
	Parallel int
	// Progress is told about every blob; nil means nobody is.
	Progress *progress.Reporter
}

// Client pulls from and pushes to registries. It is safe for concurrent use.
type Client struct {
	store     *store.Store
	options   Options
	hosts     *hosts
	transport http.RoundTripper
	retries   retries
	downloads *downloads
	uploads   chan struct{} // one is taken while a blob is uploaded
	checks    chan struct{} // one is taken while a registry is asked for a blob

	connecting, resolving singleflight.Group

	mu          sync.Mutex
	connections map[string]*connection
	registries  map[string]bool // hosts that are known to be registries
	images      map[string]*plan.Image
	layers      map[string]*layer.Layer
}

const (
	defaultParallel = 4
	// parallelChecks is how many blobs are asked for at once: these requests
	// are small, and an image may have a hundred layers.
	parallelChecks = 16
)

// NewClient returns a client that keeps what it downloads in s. Close it when
// nothing of it is in use any more.
func NewClient(s *store.Store, options Options) *Client {
	if options.Progress == nil {
		options.Progress = progress.Discard()
	}
	if options.Parallel <= 0 {
		options.Parallel = defaultParallel
	}
	if options.UserAgent == "" {
		options.UserAgent = "kiln"
	}
	c := &Client{
		store:       s,
		options:     options,
		downloads:   newDownloads(s, options.Parallel, options.Progress),
		uploads:     make(chan struct{}, options.Parallel),
		checks:      make(chan struct{}, parallelChecks),
		connections: make(map[string]*connection),
		registries:  make(map[string]bool),
		images:      make(map[string]*plan.Image),
		layers:      make(map[string]*layer.Layer),
	}
	c.hosts = &hosts{
		verified:   newTransport(false),
		unverified: newTransport(true),
		insecure:   options.InsecureRegistries,
		known:      c.isRegistry,
	}
	c.transport = transport.NewUserAgent(c.hosts, options.UserAgent)
	c.retries = retries{attempts: 6, first: 250 * time.Millisecond, max: 15 * time.Second, told: c.tell}
	return c
}

// Close gives back connections that are idle.
func (c *Client) Close() {
	c.hosts.verified.CloseIdleConnections()
	c.hosts.unverified.CloseIdleConnections()
}

func (c *Client) isRegistry(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registries[host]
}

// tell says that something is going to be tried again: it explains why a build
// takes so long, and which registry is in trouble.
func (c *Client) tell(what string, err error, wait time.Duration) {
	c.options.Progress.Warn(fmt.Sprintf("%s: %v; trying again in %s", what, err, wait.Round(100*time.Millisecond)))
}
