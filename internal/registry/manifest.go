package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Docker's image format, version 2 schema 2.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// maxDocument bounds the size of manifests and configs. The specification says
// 4 MiB for manifests; configs grow with history and labels.
const maxDocument = 16 << 20

// acceptManifests is what a registry is told we understand.
var acceptManifests = strings.Join([]string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerIndex, dockerManifest,
}, ", ")

// document is a manifest or an index.
type document struct {
	digest  digest.Digest
	content []byte

	MediaType string               `json:"mediaType"`
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Manifests []ocispec.Descriptor `json:"manifests"`
}

// parseDocument reads a manifest or an index. mediaType is what the registry
// calls it; what the document says of itself counts more, and for OCI it need
// not say anything.
func parseDocument(content []byte, mediaType string) (*document, error) {
	d := &document{digest: digest.FromBytes(content), content: content}
	if err := json.Unmarshal(content, d); err != nil {
		return nil, fmt.Errorf("parse manifest %s: %w", d.digest, err)
	}
	if d.MediaType == "" {
		d.MediaType = mediaType
	}
	switch {
	case d.isIndex() && d.Config != nil, !d.isIndex() && d.Config == nil:
		return nil, fmt.Errorf("manifest %s of type %q is not that of an image", d.digest, d.MediaType)
	case d.MediaType == "" && d.isIndex():
		d.MediaType = ocispec.MediaTypeImageIndex
	case d.MediaType == "":
		d.MediaType = ocispec.MediaTypeImageManifest
	}
	return d, nil
}

func (d *document) isIndex() bool { return d.Manifests != nil }

// repository reads manifests and configs of one repository, those that are in
// the store from there. Nothing is asked of the registry before it must be.
type repository struct {
	client *Client
	name   name.Repository
}

// tagged returns the manifest or index that the tag stands for now.
func (r *repository) tagged(ctx context.Context, tag string) (*document, error) {
	cn, err := r.client.connectToPull(ctx, r.name)
	if err != nil {
		return nil, err
	}
	// Asking for the digest alone does not count against rate limits.
	d, err := r.head(ctx, cn, tag)
	var refused *Error
	switch {
	case err == nil && d.Validate() == nil:
		return r.pinned(ctx, d)
	case err != nil && !errors.As(err, &refused):
		return nil, err
	}
	// Not every registry answers HEAD as it should, and its refusals say nothing.
	return r.get(ctx, cn, tag)
}

// pinned returns the manifest or index with the digest.
func (r *repository) pinned(ctx context.Context, d digest.Digest) (*document, error) {
	if content, err := r.stored(d); err == nil {
		return parseDocument(content, "")
	}
	cn, err := r.client.connectToPull(ctx, r.name)
	if err != nil {
		return nil, err
	}
	doc, err := r.get(ctx, cn, d.String())
	if err != nil {
		return nil, err
	}
	if doc.digest != d {
		return nil, fmt.Errorf("get manifest %s of %s: what came has the digest %s", d, r.name, doc.digest)
	}
	return doc, nil
}

// config returns the content that desc describes, an image's config.
func (r *repository) config(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	if content, err := r.stored(desc.Digest); err == nil {
		return content, nil
	}
	if desc.Size > maxDocument {
		return nil, fmt.Errorf("config %s has %d bytes, which no image needs", desc.Digest, desc.Size)
	}
	in, err := (&source{client: r.client, repo: r.name, desc: desc}).Open(ctx)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(in)
	return content, errors.Join(err, in.Close())
}

// head asks what digest the tag stands for; it may be "".
func (r *repository) head(ctx context.Context, cn *connection, tag string) (digest.Digest, error) {
	resp, err := r.ask(ctx, cn, http.MethodHead, tag)
	if err != nil {
		return "", err
	}
	return digest.Digest(resp.Header.Get("Docker-Content-Digest")), drain(resp)
}

// get reads a manifest and keeps it.
func (r *repository) get(ctx context.Context, cn *connection, reference string) (doc *document, err error) {
	resp, err := r.ask(ctx, cn, http.MethodGet, reference)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	content, err := readSmall(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("get manifest %s of %s: %w", reference, r.name, err)
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if doc, err = parseDocument(content, mediaType); err != nil {
		return nil, err
	}
	return doc, r.keep(ctx, doc)
}

// ask requests a manifest.
func (r *repository) ask(ctx context.Context, cn *connection, method, reference string) (resp *http.Response, err error) {
	op := "get manifest " + reference
	err = r.client.retries.do(ctx, op, func() error {
		req, err := http.NewRequestWithContext(ctx, method, cn.url("manifests", reference).String(), nil)
		if err != nil {
			return final("%s: %w", op, err)
		}
		req.Header.Set("Accept", acceptManifests)
		resp, err = cn.send(op, req, http.StatusOK) //nolint:bodyclose // the caller does
		return err
	})
	return resp, err
}

// stored returns a small blob of the store, verified.
func (r *repository) stored(d digest.Digest) (content []byte, err error) {
	in, size, err := r.client.store.OpenBlob(d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if size > maxDocument {
		return nil, fs.ErrInvalid
	}
	return io.ReadAll(in)
}

func (r *repository) keep(ctx context.Context, doc *document) (err error) {
	out, err := r.client.store.Create(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, bytes.NewReader(doc.content)); err != nil {
		return fmt.Errorf("keep manifest %s: %w", doc.digest, err)
	}
	_, err = out.Commit(doc.digest)
	return err
}

func readSmall(in io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err == nil && len(content) > maxDocument {
		err = fmt.Errorf("it has more than %d bytes", maxDocument)
	}
	return content, err
}

// short is how people are shown a digest.
func short(d digest.Digest) string {
	const enough = 12
	if hex := d.Encoded(); len(hex) > enough {
		return hex[:enough]
	}
	return d.String()
}
