package registry

import (
	"context"
	"net"
	"net/http"
	"time"
)

// HurryUp makes c wait next to nothing between attempts.
func (c *Client) HurryUp() { c.retries.first, c.retries.max = time.Millisecond, time.Millisecond }

// Resolver says what addresses names have.
type Resolver map[string]string

// Dial lets c look up names in r.
func (c *Client) Dial(r Resolver) {
	for _, t := range []*http.Transport{c.hosts.verified, c.hosts.unverified} {
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			if known, ok := r[host]; ok {
				addr = net.JoinHostPort(known, port)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
}

// FindCredential returns where the credential for an image comes from, and its
// user.
func FindCredential(files []string, ref string) (source, user string, err error) {
	p, err := parse(ref)
	if err != nil {
		return "", "", err
	}
	found, err := findCredential(files, p.repo)
	if err != nil {
		return "", "", err
	}
	auth, err := found.auth.Authorization()
	if err != nil {
		return "", "", err
	}
	return found.source, auth.Username, nil
}
