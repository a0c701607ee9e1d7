package registry_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/store"
	"github.com/kiln-build/kiln/internal/testenv"
)

var amd64 = ocispec.Platform{OS: "linux", Architecture: "amd64"}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newClient(t testing.TB, s *store.Store, options registry.Options) *registry.Client {
	t.Helper()
	c := registry.NewClient(s, options)
	c.HurryUp()
	t.Cleanup(c.Close)
	return c
}

func resolve(t testing.TB, c *registry.Client, ref string) *plan.Image {
	t.Helper()
	image, err := c.Resolve(t.Context(), ref, amd64)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// randomLayer returns a layer with one file of size random bytes.
func randomLayer(t testing.TB, size int64) v1.Layer {
	t.Helper()
	l, err := random.Layer(size, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pushBase pushes an image with layers of the sizes and forgets the requests.
func pushBase(t testing.TB, r *testenv.RegistryServer, name string, sizes ...int64) string {
	t.Helper()
	var layers []v1.Layer
	for _, size := range sizes {
		layers = append(layers, randomLayer(t, size))
	}
	ref := r.Push(t, name, layers...)
	r.Reset()
	return ref
}

// readBlob reads the layer's blob to its end and returns its size.
func readBlob(ctx context.Context, l *layer.Layer) (int64, error) {
	src, err := l.Blob(ctx)
	if err != nil {
		return 0, err
	}
	in, err := src.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return io.Copy(io.Discard, in)
}

// files is a delta of files with the content given.
type files map[string]string

func (f files) names() []string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.SortFunc(names, layer.Compare)
	return names
}

func (f files) Entries() []layer.Entry {
	var entries []layer.Entry
	for _, name := range f.names() {
		entries = append(entries, layer.Entry{Path: name, Type: layer.Regular, Mode: 0o644, Size: int64(len(f[name]))})
	}
	return entries
}

func (f files) Open(_ context.Context, i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(f[f.names()[i]])), nil
}

func (files) Stable() bool                { return true }
func (files) Release(digest.Digest) error { return nil }

// noise returns text that does not get smaller by compression.
func noise(size int) string {
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteByte(byte(rand.Uint32()))
	}
	return b.String()
}

// onlyFor applies a middleware to requests of one kind.
func onlyFor(matches func(*http.Request) bool, do http.HandlerFunc) testenv.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if matches(q) {
				do(w, q)
				return
			}
			next.ServeHTTP(w, q)
		})
	}
}

func isBlobGet(q *http.Request) bool {
	return q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/")
}

func isUpload(q *http.Request) bool {
	return q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/blobs/uploads/")
}

// checkCount compares how many requests there were. A registry remembers one
// when it is through with it, which may be after the client.
func checkCount(t *testing.T, r *testenv.RegistryServer, want int, kinds ...testenv.Kind) {
	t.Helper()
	for range 200 {
		if r.Count(kinds...) >= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := r.Count(kinds...); got != want {
		t.Errorf("%d requests of kind %v, want %d; all: %v", got, kinds, want, r.Requests())
	}
}

// removeBlob removes the layer's blob from the store in dir.
func removeBlob(t testing.TB, dir string, l *layer.Layer) error {
	t.Helper()
	desc, err := l.Descriptor(t.Context())
	if err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, "blobs", "sha256", desc.Digest.Encoded()))
}

// keepBlob puts content into the store.
func keepBlob(t testing.TB, s *store.Store, content []byte) {
	t.Helper()
	b, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Write(content); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(digest.FromBytes(content)); err != nil {
		t.Fatal(err)
	}
}
