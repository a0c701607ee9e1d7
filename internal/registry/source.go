package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// source is a layer of an image in a registry: where its blob can be had. It
// implements layer.Source.
type source struct {
	client *Client
	repo   name.Repository
	desc   ocispec.Descriptor
}

// Open returns the blob from the store or, if it is not there, brings it there
// while it is read.
func (s *source) Open(ctx context.Context) (io.ReadCloser, error) {
	if s.client.store.HasBlob(s.desc) {
		return s.client.store.BlobSource(s.desc).Open(ctx)
	}
	task := fmt.Sprintf("pull %s %s", s.repo.RepositoryStr(), short(s.desc.Digest))
	return s.client.downloads.open(ctx, task, s.desc, s.fetch)
}

// fetch returns the blob as the registry sends it.
func (s *source) fetch(ctx context.Context) io.ReadCloser {
	return &resumed{
		ctx:     ctx,
		retries: s.client.retries,
		what:    "pull " + s.desc.Digest.String(),
		size:    s.desc.Size,
		open:    s.openAt,
	}
}

// openAt asks the registry for the blob from the offset on, and the places that
// the descriptor names if the registry does not have it: layers that must not
// be passed on are only there.
func (s *source) openAt(ctx context.Context, offset int64) (io.ReadCloser, error) {
	cn, err := s.client.connectToPull(ctx, s.repo)
	if err != nil {
		return nil, err
	}
	body, err := cn.blob(ctx, cn.url("blobs", s.desc.Digest.String()).String(), s.desc, offset)
	for _, url := range s.desc.URLs {
		if !errors.Is(err, ErrNotFound) {
			break
		}
		elsewhere := &connection{repo: s.repo, http: &http.Client{Transport: s.client.transport}, credentials: noCredentials}
		body, err = elsewhere.blob(ctx, url, s.desc, offset)
	}
	return body, err
}

// blob asks for the bytes at url from the offset on.
func (cn *connection) blob(ctx context.Context, url string, desc ocispec.Descriptor, offset int64) (_ io.ReadCloser, err error) {
	op := "pull " + desc.Digest.String()
	w := newWatch(ctx)
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, final("%s: %w", op, err)
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := cn.send(op, req, http.StatusOK, http.StatusPartialContent) //nolint:bodyclose // watchedBody does
	if err != nil {
		return nil, w.cause(err)
	}
	body := &watchedBody{ReadCloser: resp.Body, watch: w}
	if err := startAt(resp, offset); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return body, nil
}
