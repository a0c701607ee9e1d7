package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// connection is how one repository is spoken to, logged in for some scopes.
type connection struct {
	repo        name.Repository
	http        *http.Client
	credentials string // where they came from
}

// connect logs in to the registry of repo. Connections are kept; many callers
// may ask for one at the same time.
func (c *Client) connect(ctx context.Context, repo name.Repository, scopes ...string) (*connection, error) {
	key := strings.Join(append([]string{repo.Name()}, scopes...), " ")
	c.mu.Lock()
	known := c.connections[key]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	made, err, _ := c.connecting.Do(key, func() (any, error) {
		cn, err := c.login(ctx, repo, scopes)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.connections[key] = cn
		return cn, nil
	})
	if err != nil {
		return nil, err
	}
	return made.(*connection), nil
}

func (c *Client) connectToPull(ctx context.Context, repo name.Repository) (*connection, error) {
	return c.connect(ctx, repo, repo.Scope(transport.PullScope))
}

// login finds the credential for repo and makes a connection with it; for a
// pull it may make one without.
func (c *Client) login(ctx context.Context, repo name.Repository, scopes []string) (*connection, error) {
	found, err := findCredential(c.options.CredentialFiles, repo)
	if err == nil {
		var cn *connection
		if cn, err = c.loginAs(ctx, repo, found, scopes); err == nil {
			return cn, nil
		}
		if !errors.Is(err, ErrUnauthorized) || found.auth == authn.Anonymous {
			return nil, err
		}
	}
	if !c.options.AnonymousOK || !onlyPulls(repo, scopes) {
		return nil, err
	}
	cn, anonymousErr := c.loginAs(ctx, repo, anonymous(), scopes)
	if anonymousErr != nil {
		return nil, err // it says more
	}
	c.options.Progress.Warn(fmt.Sprintf("pulling without credentials: %v", err))
	return cn, nil
}

func onlyPulls(repo name.Repository, scopes []string) bool {
	return len(scopes) == 1 && scopes[0] == repo.Scope(transport.PullScope)
}

func (c *Client) loginAs(ctx context.Context, repo name.Repository, as credential, scopes []string) (*connection, error) {
	cn := &connection{repo: repo, credentials: as.source}
	err := c.retries.do(ctx, "log in to "+hostName(repo), func() error {
		t, err := transport.NewWithContext(ctx, c.registryOf(repo), as.auth, c.transport, scopes)
		if err != nil {
			return cn.explain("log in", err)
		}
		cn.http = &http.Client{Transport: t}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect to registry %s: %w", hostName(repo), err)
	}
	return cn, nil
}

// registryOf tells go-containerregistry whether plain HTTP may be tried, and
// remembers that the host is a registry.
func (c *Client) registryOf(repo name.Repository) name.Registry {
	host := repo.RegistryStr()
	c.mu.Lock()
	c.registries[host] = true
	c.mu.Unlock()
	if !c.hosts.allowed(host) {
		return repo.Registry
	}
	insecure, err := name.NewRegistry(host, name.Insecure)
	if err != nil {
		return repo.Registry // was valid before, so it is now
	}
	return insecure
}

// url returns the address of something in the repository. The scheme is
// replaced with the one that the registry speaks.
func (cn *connection) url(kind, reference string) *url.URL {
	return &url.URL{
		Scheme: "https",
		Host:   cn.repo.RegistryStr(),
		Path:   "/v2/" + cn.repo.RepositoryStr() + "/" + kind + "/" + reference,
	}
}

// send makes a request that is not repeated. Unless the answer has one of the
// accepted statuses it is an error; op says in it what was wanted. The caller
// closes the answer's body.
func (cn *connection) send(op string, req *http.Request, accepted ...int) (*http.Response, error) {
	resp, err := cn.http.Do(req)
	if err != nil {
		return nil, cn.explain(op, err)
	}
	if refused := refusal(resp, accepted...); refused != nil {
		return nil, errors.Join(cn.complete(op, refused), resp.Body.Close())
	}
	return resp, nil
}

// explain makes the error of a request say what was wanted of whom.
func (cn *connection) explain(op string, err error) error {
	if refused := fromTransport(err); refused != nil {
		return cn.complete(op, refused)
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return &plainHTTPError{host: cn.repo.RegistryStr(), err: err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

func (cn *connection) complete(op string, e *Error) error {
	e.Op, e.Host, e.Repository, e.Credentials = op, hostName(cn.repo), cn.repo.RepositoryStr(), cn.credentials
	return e
}

// plainHTTPError says that a registry has no TLS.
type plainHTTPError struct {
	host string
	err  error
}

func (e *plainHTTPError) Error() string {
	return fmt.Sprintf("%s answers without TLS: %v", e.host, e.err)
}
func (e *plainHTTPError) Unwrap() error { return e.err }

// Hint names the flag.
func (e *plainHTTPError) Hint() string {
	return "if that is meant to be so: --insecure-registry " + e.host
}

// drain reads the rest of a small answer and closes it, so that its connection
// can be used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	return errors.Join(err, resp.Body.Close())
}
