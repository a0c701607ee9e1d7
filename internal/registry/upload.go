package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/progress"
)

// content is a blob to be pushed.
type content struct {
	desc ocispec.Descriptor
	// open returns the blob's bytes. A failed upload opens it again.
	open func(ctx context.Context) (io.ReadCloser, error)
	// from is a repository that has the blob, nil if none is known.
	from *name.Repository
}

// upload sees to it that the repository has the blob: it is asked whether it
// has it already, then whether it can take it from another repository of the
// same registry; only then the bytes are sent.
func (c *Client) upload(ctx context.Context, repo name.Repository, b content) error {
	task := c.options.Progress.Start(progress.Task{
		Name: fmt.Sprintf("push %s %s", repo.RepositoryStr(), short(b.desc.Digest)), Detail: true,
	})
	there, location, err := c.offer(ctx, repo, b)
	verdict := progress.Cached
	if err == nil && !there {
		verdict, err = progress.Done, c.transfer(ctx, repo, location, b, task)
	}
	task.End(verdict, err)
	return err
}

// offer reports whether the repository has the blob, or has taken it from
// another one. If it has neither, it may have told where to send it.
func (c *Client) offer(ctx context.Context, repo name.Repository, b content) (there bool, location *url.URL, err error) {
	select {
	case c.checks <- struct{}{}:
		defer func() { <-c.checks }()
	case <-ctx.Done():
		return false, nil, context.Cause(ctx)
	}
	cn, err := c.connectToPush(ctx, repo)
	if err != nil {
		return false, nil, err
	}
	what := "look for " + b.desc.Digest.String()
	err = c.retries.do(ctx, what, func() (err error) {
		there, err = cn.has(ctx, what, b.desc.Digest)
		return err
	})
	if err != nil || there || b.from == nil || b.from.RegistryStr() != repo.RegistryStr() {
		return there, nil, err
	}
	there, location, err = c.mount(ctx, repo, *b.from, b.desc.Digest)
	if err != nil {
		return false, nil, nil // refused, for want of rights: no error, the bytes will do
	}
	return there, location, nil
}

func (c *Client) connectToPush(ctx context.Context, repo name.Repository) (*connection, error) {
	return c.connect(ctx, repo, repo.Scope(transport.PushScope))
}

// has asks the repository for a blob.
func (cn *connection) has(ctx context.Context, what string, d digest.Digest) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, cn.url("blobs", d.String()).String(), nil)
	if err != nil {
		return false, final("%s: %w", what, err)
	}
	resp, err := cn.send(what, req, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, drain(resp)
}

// mount asks the registry to take the blob from another of its repositories.
// If it does not, it begins an upload in its place.
func (c *Client) mount(ctx context.Context, repo, from name.Repository, d digest.Digest) (done bool, location *url.URL, err error) {
	cn, err := c.connect(ctx, repo, repo.Scope(transport.PushScope), from.Scope(transport.PullScope))
	if err != nil {
		return false, nil, err
	}
	u := cn.url("blobs", "uploads/")
	u.RawQuery = url.Values{"mount": {d.String()}, "from": {from.RepositoryStr()}}.Encode()
	resp, err := cn.post(ctx, "mount "+d.String(), u, http.StatusCreated, http.StatusAccepted)
	if err != nil {
		return false, nil, err
	}
	if resp.StatusCode == http.StatusCreated {
		return true, nil, drain(resp)
	}
	location, err = resp.Location()
	return false, location, errors.Join(err, drain(resp))
}

func (cn *connection) post(ctx context.Context, op string, u *url.URL, accepted ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return nil, final("%s: %w", op, err)
	}
	return cn.send(op, req, accepted...)
}

// transfer sends the blob's bytes, to location first if that is known, and from
// the beginning whenever that fails.
func (c *Client) transfer(ctx context.Context, repo name.Repository, location *url.URL, b content, task *progress.Running) error {
	select {
	case c.uploads <- struct{}{}:
		defer func() { <-c.uploads }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	cn, err := c.connectToPush(ctx, repo)
	if err != nil {
		return err
	}
	op := "push " + b.desc.Digest.String()
	return c.retries.do(ctx, op, func() error {
		to := location
		location = nil // an upload that broke is not gone on with
		if to == nil {
			if to, err = cn.begin(ctx, op); err != nil {
				return err
			}
		}
		return cn.put(ctx, op, to, b, task)
	})
}

// begin starts an upload and returns where the bytes go.
func (cn *connection) begin(ctx context.Context, op string) (*url.URL, error) {
	resp, err := cn.post(ctx, op, cn.url("blobs", "uploads/"), http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	if err := drain(resp); err != nil {
		return nil, err
	}
	location, err := resp.Location()
	if err != nil {
		return nil, final("%s: the registry does not say where the bytes go: %w", op, err)
	}
	return location, nil
}

// put sends all bytes in one request, which also ends the upload.
func (cn *connection) put(ctx context.Context, op string, location *url.URL, b content, task *progress.Running) error {
	query := location.Query()
	query.Set("digest", b.desc.Digest.String())
	location.RawQuery = query.Encode()

	w := newWatch(ctx)
	defer w.stop()
	// The body is opened by GetBody's contract: again, if the registry
	// redirects the upload.
	var bodies []*uploadBody
	open := func() (io.ReadCloser, error) {
		in, err := b.open(w.ctx)
		if err != nil {
			return nil, err
		}
		body := &uploadBody{in: in, size: b.desc.Size, watch: w, task: task}
		bodies = append(bodies, body)
		return body, nil
	}
	body, err := open()
	if err != nil {
		return final("%s: %w", op, err)
	}
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPut, location.String(), body)
	if err != nil {
		return final("%s: %w", op, errors.Join(err, body.Close()))
	}
	req.GetBody, req.ContentLength = open, b.desc.Size
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := cn.send(op, req, http.StatusCreated, http.StatusNoContent)
	for _, body := range bodies {
		if failed := body.failure(); failed != nil {
			return final("%s: %w", op, failed) // not the registry's fault
		}
	}
	if err != nil {
		return w.cause(err)
	}
	return drain(resp)
}
