package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/store"
	"github.com/kiln-build/kiln/internal/testenv"
)

// write writes a layer with one file of the content.
func write(t testing.TB, s *store.Store, content string) *layer.Layer {
	t.Helper()
	return layer.NewWriter(s, layer.Options{Indexes: s}).Write(t.Context(), files{"file": content})
}

// imageOf makes manifest and config for layers.
func imageOf(t testing.TB, layers ...*layer.Layer) registry.Image {
	t.Helper()
	config := ocispec.Image{Platform: amd64, RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig},
	}
	for _, l := range layers {
		desc, err := l.Descriptor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diffID, err := l.DiffID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		manifest.Layers = append(manifest.Layers, desc)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	}
	img := registry.Image{MediaType: manifest.MediaType, ConfigType: manifest.Config.MediaType, Layers: layers}
	img.Config = encode(t, config)
	manifest.Config.Digest, manifest.Config.Size = digest.FromBytes(img.Config), int64(len(img.Config))
	img.Manifest = encode(t, manifest)
	return img
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func push(t testing.TB, c *registry.Client, img registry.Image, refs ...string) error {
	t.Helper()
	p, _, err := c.StartPush(t.Context(), refs)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Finish(t.Context(), img)
}

// checkImage pulls the image with another program's library and verifies all
// of it.
func checkImage(t *testing.T, r *testenv.RegistryServer, repositoryTag string, img registry.Image) {
	t.Helper()
	pulled := r.Pull(t, repositoryTag)
	if err := validate.Image(pulled); err != nil {
		t.Errorf("%s: %v", repositoryTag, err)
	}
	if got, err := pulled.Digest(); err != nil || got.String() != digest.FromBytes(img.Manifest).String() {
		t.Errorf("%s has the digest %s, %v", repositoryTag, got, err)
	}
}

func TestPushToTheRegistryOfTheBaseUploadsOnlyWhatIsNew(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushBase(t, r, "team/base:1", 1000, 2000, 3000)
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	base := resolve(t, c, ref)
	r.Reset()
	img := imageOf(t, append(base.Layers, write(t, s, "new"))...)
	if err := push(t, c, img, r.Ref("app:1")); err != nil {
		t.Fatal(err)
	}
	checkCount(t, r, 0, testenv.BlobGet)
	checkCount(t, r, 3, testenv.BlobMount)
	checkCount(t, r, 2, testenv.UploadStart)
	checkCount(t, r, 2, testenv.UploadEnd) // the new layer and the config
	checkImage(t, r, "app:1", img)

	// Once more: everything is there.
	r.Reset()
	if err := push(t, newClient(t, s, registry.Options{}), img, r.Ref("app:2")); err != nil {
		t.Fatal(err)
	}
	checkCount(t, r, 5, testenv.BlobHead)
	checkCount(t, r, 0, testenv.BlobMount, testenv.UploadStart, testenv.UploadEnd)
	checkImage(t, r, "app:2", img)
}

func TestPushToAnotherRegistryCarriesTheBaseOver(t *testing.T) {
	from, to := testenv.Registry(t), testenv.Registry(t)
	ref := pushBase(t, from, "base:1", 1_000_000, 2_000_000)
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	img := imageOf(t, append(resolve(t, c, ref).Layers, write(t, s, "new"))...)
	from.Reset()
	if err := push(t, c, img, to.Ref("app:1"), to.Ref("other/app:1"), to.Ref("app:latest")); err != nil {
		t.Fatal(err)
	}
	checkCount(t, from, 2, testenv.BlobGet)
	checkCount(t, to, 4, testenv.UploadEnd) // once, not once a repository
	checkCount(t, to, 4, testenv.BlobMount)
	checkCount(t, to, 3, testenv.ManifestPut)
	for _, name := range []string{"app:1", "app:latest", "other/app:1"} {
		checkImage(t, to, name, img)
	}
}

func TestPushBeginsBeforeTheImageIsKnown(t *testing.T) {
	r := testenv.Registry(t)
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	p, _, err := c.StartPush(t.Context(), []string{r.Ref("app:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	first := write(t, s, "first")
	p.AddLayer(first)
	checkCount(t, r, 1, testenv.UploadEnd)
	checkCount(t, r, 0, testenv.ManifestPut)

	img := imageOf(t, first, write(t, s, "second"))
	if err := p.Finish(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	checkImage(t, r, "app:1", img)
}

func TestPushOfEqualLayersUploadsOne(t *testing.T) {
	r := testenv.Registry(t)
	s := openStore(t)
	img := imageOf(t, write(t, s, "same"), write(t, s, "same"))
	if err := push(t, newClient(t, s, registry.Options{}), img, r.Ref("app:1")); err != nil {
		t.Fatal(err)
	}
	checkCount(t, r, 2, testenv.UploadEnd) // one layer and the config
	checkImage(t, r, "app:1", img)
}

// A mount that the registry does not grant is made good by an upload.
func TestPushUploadsWhereMountsAreRefused(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"forbidden":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"not supported": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Registry(t, onlyFor(func(q *http.Request) bool { return q.URL.Query().Has("mount") }, answer))
			ref := pushBase(t, r, "base:1", 1000)
			s := openStore(t)
			c := newClient(t, s, registry.Options{})
			img := imageOf(t, resolve(t, c, ref).Layers...)
			if err := push(t, c, img, r.Ref("app:1")); err != nil {
				t.Fatal(err)
			}
			checkImage(t, r, "app:1", img)
		})
	}
	t.Run("ignored", func(t *testing.T) {
		r := testenv.Registry(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Query().Has("mount") {
					q.URL.RawQuery = ""
				}
				next.ServeHTTP(w, q)
			})
		})
		ref := pushBase(t, r, "base:1", 1000)
		s := openStore(t)
		c := newClient(t, s, registry.Options{})
		img := imageOf(t, resolve(t, c, ref).Layers...)
		r.Reset()
		if err := push(t, c, img, r.Ref("app:1")); err != nil {
			t.Fatal(err)
		}
		checkImage(t, r, "app:1", img)
	})
}

// flaky fails the first requests that match.
func flaky(matches func(*http.Request) bool, failures int32, fail http.HandlerFunc) testenv.Middleware {
	left := new(atomic.Int32)
	left.Store(failures)
	return onlyFor(func(q *http.Request) bool { return matches(q) && left.Add(-1) >= 0 }, fail)
}

func TestPushSurvivesTroubleThatPasses(t *testing.T) {
	busy := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }
	hangUp := func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.CopyN(io.Discard, q.Body, 100_000)
		panic(http.ErrAbortHandler)
	}
	is := func(method, path string) func(*http.Request) bool {
		return func(q *http.Request) bool { return q.Method == method && strings.Contains(q.URL.Path, path) }
	}
	for name, trouble := range map[string]testenv.Middleware{
		"busy at login":              flaky(is(http.MethodGet, "/v2/"), 2, busy),
		"busy when asked for a blob": flaky(is(http.MethodHead, "/blobs/"), 2, busy),
		"busy at an upload":          flaky(isUpload, 2, busy),
		"upload broken off":          flaky(isUpload, 2, hangUp),
		"busy at the manifest":       flaky(is(http.MethodPut, "/manifests/"), 2, busy),
		"too many requests": flaky(is(http.MethodPost, "/uploads/"), 1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Registry(t, trouble)
			s := openStore(t)
			img := imageOf(t, write(t, s, noise(1_000_000)))
			if err := push(t, newClient(t, s, registry.Options{}), img, r.Ref("app:1")); err != nil {
				t.Fatal(err)
			}
			checkImage(t, r, "app:1", img)
		})
	}
}

func TestPushThatIsRefusedSaysWhatAndWhy(t *testing.T) {
	r := testenv.Registry(t, onlyFor(func(q *http.Request) bool { return q.Method == http.MethodPost },
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"quota is used up"}]}`))
		}))
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	p, ctx, err := c.StartPush(t.Context(), []string{r.Ref("team/app:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := write(t, s, "x")
	p.AddLayer(l)
	<-ctx.Done() // the build learns of it at once
	err = p.Finish(t.Context(), imageOf(t, l))
	for _, err := range []error{err, context.Cause(ctx)} {
		if !errors.Is(err, registry.ErrUnauthorized) {
			t.Errorf("error = %v, want ErrUnauthorized", err)
			continue
		}
		for _, want := range []string{r.Addr + "/team/app", "403 Forbidden", "quota is used up", "without credentials"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want it to tell %q", err, want)
			}
		}
	}
	checkCount(t, r, 0, testenv.ManifestPut)
	if n := r.Count(testenv.UploadStart); n > 2 { // layer and config
		t.Errorf("a refusal was asked for again: %d times", n)
	}
}

func TestFailedLayerSetsNoTag(t *testing.T) {
	r := testenv.Registry(t)
	s := openStore(t)
	good := write(t, s, "good")
	img := imageOf(t, good, write(t, s, "bad"))
	if err := removeBlob(t, s.Dir(), img.Layers[1]); err != nil {
		t.Fatal(err)
	}
	if err := push(t, newClient(t, s, registry.Options{}), img, r.Ref("app:1")); err == nil {
		t.Error("push of a layer whose blob is gone succeeded")
	}
	checkCount(t, r, 0, testenv.ManifestPut)
}

func TestNamesThatCannotBePushedTo(t *testing.T) {
	c := newClient(t, openStore(t), registry.Options{})
	for _, ref := range []string{"Upper/Case", "", "host/app@sha256:" + strings.Repeat("0", 64)} {
		if _, _, err := c.StartPush(t.Context(), []string{ref}); err == nil {
			t.Errorf("push to %q was begun", ref)
		}
	}
}

// Layers of Windows are named in the manifest and not uploaded.
func TestForeignLayerIsNotPushed(t *testing.T) {
	r := testenv.Registry(t)
	s := openStore(t)
	diffID := digest.FromString("tar")
	foreign := layer.Remote(ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageLayerNonDistributableGzip, //nolint:staticcheck // old images have them
		Digest:    digest.FromString("blob"), Size: 4,
	}, diffID, nil, nil)
	c := newClient(t, s, registry.Options{})
	p, _, err := c.StartPush(t.Context(), []string{r.Ref("app:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	// The registry takes the manifest only with the blob; that is as it likes.
	_ = p.Finish(t.Context(), imageOf(t, foreign, write(t, s, "x")))
	checkCount(t, r, 2, testenv.UploadEnd) // layer and config
	for _, request := range r.Requests() {
		if strings.Contains(request.Reference, digest.FromString("blob").Encoded()) {
			t.Errorf("a layer that must not be passed on was pushed: %v", request)
		}
	}
	if !slices.ContainsFunc(r.Requests(), func(q testenv.Request) bool { return q.Kind == testenv.ManifestPut }) {
		t.Error("the manifest was not pushed")
	}
}

func BenchmarkPush(b *testing.B) {
	const size = 100_000_000
	s := openStore(b)
	var layers []*layer.Layer
	for range 4 {
		layers = append(layers, write(b, s, noise(size/4)))
	}
	img := imageOf(b, layers...)
	b.SetBytes(size)
	for b.Loop() {
		b.StopTimer()
		r := testenv.Registry(b)
		b.StartTimer()
		if err := push(b, newClient(b, s, registry.Options{}), img, r.Ref("app:1")); err != nil {
			b.Fatal(err)
		}
	}
}
