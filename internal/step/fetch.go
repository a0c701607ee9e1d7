package step

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/spool"
)

// download is what a URL has given.
type download struct {
	spool   *spool.Spool
	section spool.Section
	digest  digest.Digest
	modTime time.Time
}

// attempts and firstPause bound how often a download is tried again, and how
// soon; each pause is twice as long as the one before.
const (
	attempts   = 4
	firstPause = 250 * time.Millisecond
)

// url copies what a URL gives. It is not unpacked unless --unpack says so.
func (c *copying) url(ctx context.Context, source plan.Source) error {
	got, err := c.fetched(ctx, source.URL)
	if err != nil {
		return err
	}
	if c.op.Unpack != nil && *c.op.Unpack {
		open := func() (io.ReadCloser, error) { return got.spool.Open(got.section), nil }
		if done, err := c.unpackFrom(ctx, source.URL, open); done || err != nil {
			return err
		}
	}
	e := layer.Entry{Type: layer.Regular, Mode: 0o600, Size: got.section.Size, ModTime: got.modTime}
	err = c.file(urlName(source.URL), e, spoolOrigin{got.spool}, fact{offset: got.section.Offset})
	return named(redact(source.URL), err)
}

// urlName returns what a file from a URL is called, as in BuildKit.
func urlName(s string) string {
	if u, err := url.Parse(s); err == nil {
		if base := path.Base(u.Path); base != "." && base != "/" {
			return base
		}
	}
	return "__unnamed__"
}

// fetched returns what url gives, downloading it if the selection's digest has
// not done so already.
func (s *Selection) fetched(ctx context.Context, url string) (*download, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.downloads[url]; got != nil {
		return got, nil
	}
	into, err := s.copier.newSpool()
	if err != nil {
		return nil, err
	}
	got, err := s.copier.fetch(ctx, url, into)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", redact(url), err)
	}
	if want := s.op.Checksum; want != "" && got.digest.String() != want {
		return nil, fmt.Errorf("fetch %s: digest mismatch: %s, want %s", redact(url), got.digest, want)
	}
	if s.downloads == nil {
		s.downloads = make(map[string]*download)
	}
	s.downloads[url] = got
	return got, nil
}

// redact returns url without the password that may be in it.
func redact(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return s
}

// fetch downloads url, trying again where that may help.
func (c *Copier) fetch(ctx context.Context, url string, into *spool.Spool) (*download, error) {
	for pause, attempt := firstPause, 1; ; pause, attempt = 2*pause, attempt+1 {
		got, err := c.fetchOnce(ctx, url, into)
		var final *finalError
		if err == nil || errors.As(err, &final) || ctx.Err() != nil || attempt == attempts {
			return got, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// finalError is an answer that asking again would not change.
type finalError struct{ status string }

func (e *finalError) Error() string { return "server answers " + e.status }

func (c *Copier) fetchOnce(ctx context.Context, url string, into *spool.Spool) (got *download, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, errors.New("server answers " + resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, &finalError{resp.Status}
	}
	sum := sha256.New()
	section, err := into.Add(ctx, io.TeeReader(resp.Body, sum))
	if err != nil {
		return nil, err
	}
	got = &download{spool: into, section: section, digest: digest.NewDigest(digest.SHA256, sum), modTime: time.Unix(0, 0)}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		got.modTime = t
	}
	return got, nil
}
