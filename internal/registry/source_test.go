package registry_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kiln-build/kiln/internal/blob"
	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/testenv"
)

func TestBlobIsDownloadedOnce(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushBase(t, r, "base:1", 3_000_000)
	s := openStore(t)
	base := resolve(t, newClient(t, s, registry.Options{}), ref).Layers[0]
	desc, err := base.Descriptor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Reset()
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if n, err := readBlob(t.Context(), base); n != desc.Size || err != nil {
				t.Errorf("read %d bytes, %v; want %d", n, err, desc.Size)
			}
		})
	}
	readers.Wait()
	checkCount(t, r, 1, testenv.BlobGet)

	// The next build has it in the store.
	r.Reset()
	again := resolve(t, newClient(t, s, registry.Options{}), ref).Layers[0]
	if n, err := readBlob(t.Context(), again); n != desc.Size || err != nil {
		t.Errorf("read %d bytes, %v; want %d", n, err, desc.Size)
	}
	checkCount(t, r, 0, testenv.BlobGet, testenv.BlobHead)
}

func TestIndexIsMadeOnce(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushBase(t, r, "base:1", 1000)
	s := openStore(t)
	first := resolve(t, newClient(t, s, registry.Options{}), ref).Layers[0]
	r.Reset()
	index, err := first.Index(t.Context())
	if err != nil || len(index) != 1 {
		t.Fatalf("index = %v, %v; want one entry", index, err)
	}
	checkCount(t, r, 1, testenv.BlobGet)
	again := resolve(t, newClient(t, s, registry.Options{}), ref).Layers[0]
	if err := removeBlob(t, s.Dir(), again); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if index, err = again.Index(t.Context()); err != nil || len(index) != 1 {
		t.Errorf("index = %v, %v; want one entry", index, err)
	}
	checkCount(t, r, 0, testenv.BlobGet)
}

// hangUp lets through the first bytes of an answer and then ends the connection.
type hangUp struct {
	http.ResponseWriter
	left int
}

func (w *hangUp) Write(p []byte) (int, error) {
	if len(p) > w.left {
		_, _ = w.ResponseWriter.Write(p[:w.left])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

func TestBrokenDownloadIsResumed(t *testing.T) {
	const size, part = 3_000_000, 1_000_000
	for name, keep := range map[string]bool{"with ranges": true, "with a registry that ignores ranges": false} {
		t.Run(name, func(t *testing.T) {
			var breaks atomic.Int32
			r := testenv.Registry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if !keep {
						q.Header.Del("Range")
					}
					if isBlobGet(q) && breaks.Add(-1) >= 0 {
						w = &hangUp{w, part}
					}
					next.ServeHTTP(w, q)
				})
			})
			base := resolve(t, newClient(t, openStore(t), registry.Options{}), pushBase(t, r, "base:1", size)).Layers[0]
			desc, err := base.Descriptor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.Reset()
			breaks.Store(2)
			if n, err := readBlob(t.Context(), base); n != desc.Size || err != nil {
				t.Errorf("read %d bytes, %v; want %d", n, err, desc.Size)
			}
			checkCount(t, r, 3, testenv.BlobGet)
			var sent int64
			for _, request := range r.Requests() {
				sent += request.Sent
			}
			if keep && sent > desc.Size+part {
				t.Errorf("%d bytes were sent for a blob of %d", sent, desc.Size)
			}
		})
	}
}

func TestDownloadThatNeverGetsAnywhereFails(t *testing.T) {
	var broken atomic.Bool
	r := testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if broken.Load() && isBlobGet(q) {
				w = &hangUp{w, 0}
			}
			next.ServeHTTP(w, q)
		})
	})
	s := openStore(t)
	base := resolve(t, newClient(t, s, registry.Options{}), pushBase(t, r, "base:1", 1000)).Layers[0]
	broken.Store(true)
	desc, _ := base.Descriptor(t.Context())
	_, err := readBlob(t.Context(), base)
	if err == nil || !strings.Contains(err.Error(), desc.Digest.String()) {
		t.Errorf("error = %v, want one that names the blob", err)
	}
	if s.HasBlob(desc) {
		t.Error("a blob that never came is in the store")
	}
}

func TestWrongBytesAreRefused(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"longer":  func(b []byte) []byte { return append(b, 'x') },
	} {
		t.Run(name, func(t *testing.T) {
			var lying atomic.Bool
			r := testenv.Registry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if !lying.Load() || !isBlobGet(q) {
						next.ServeHTTP(w, q)
						return
					}
					honest := httptest.NewRecorder()
					next.ServeHTTP(honest, q)
					_, _ = w.Write(change(honest.Body.Bytes()))
				})
			})
			s := openStore(t)
			base := resolve(t, newClient(t, s, registry.Options{}), pushBase(t, r, "base:1", 10_000)).Layers[0]
			lying.Store(true)
			if _, err := readBlob(t.Context(), base); !errors.Is(err, blob.ErrMismatch) {
				t.Errorf("error = %v, want ErrMismatch", err)
			}
			if desc, _ := base.Descriptor(t.Context()); s.HasBlob(desc) {
				t.Error("a wrong blob is in the store")
			}
			// The next one who asks gets another chance.
			lying.Store(false)
			if _, err := readBlob(t.Context(), base); err != nil {
				t.Error(err)
			}
		})
	}
}

// slowBlobs lets the first bytes of a blob through and the rest when it is told.
func slowBlobs(t *testing.T) (r *testenv.RegistryServer, slow *atomic.Bool, goOn func()) {
	slow = new(atomic.Bool)
	rest := make(chan struct{})
	goOn = sync.OnceFunc(func() { close(rest) })
	t.Cleanup(goOn)
	r = testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if slow.Load() && isBlobGet(q) {
				w = &pausing{w, 100_000, rest, q.Context()}
			}
			next.ServeHTTP(w, q)
		})
	})
	return r, slow, goOn
}

type pausing struct {
	http.ResponseWriter
	left int
	rest chan struct{}
	ctx  context.Context
}

func (w *pausing) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		select {
		case <-w.rest:
		case <-w.ctx.Done():
		}
	}
	return w.ResponseWriter.Write(p)
}

func TestReaderThatLeavesDoesNotStopTheOthers(t *testing.T) {
	r, slow, goOn := slowBlobs(t)
	base := resolve(t, newClient(t, openStore(t), registry.Options{}), pushBase(t, r, "base:1", 1_000_000)).Layers[0]
	slow.Store(true)
	src, err := base.Blob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := src.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := io.ReadFull(first, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, first); !errors.Is(err, context.Canceled) {
		t.Errorf("reader whose context has ended: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	goOn()
	if _, err := io.Copy(io.Discard, second); err != nil {
		t.Errorf("the other reader: %v", err)
	}
	checkCount(t, r, 2, testenv.BlobGet) // config and layer
}

func TestDownloadWithoutReadersIsGivenUp(t *testing.T) {
	r, slow, goOn := slowBlobs(t)
	s := openStore(t)
	base := resolve(t, newClient(t, s, registry.Options{}), pushBase(t, r, "base:1", 1_000_000)).Layers[0]
	slow.Store(true)
	src, err := base.Blob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(in, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	goOn()
	// Who comes after that starts anew and gets all of it.
	if _, err := readBlob(t.Context(), base); err != nil {
		t.Error(err)
	}
	checkCount(t, r, 3, testenv.BlobGet) // the config, and the layer twice
}

// Layers of Windows come from where their descriptor says.
func TestForeignLayerComesFromItsURL(t *testing.T) {
	foreign := randomLayer(t, 5000)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		in, err := foreign.Compressed()
		if err != nil {
			t.Error(err)
			return
		}
		defer in.Close()
		_, _ = io.Copy(w, in)
	}))
	defer elsewhere.Close()
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: foreign, MediaType: types.OCIRestrictedLayer, URLs: []string{elsewhere.URL + "/gone", elsewhere.URL + "/layer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Distribution's registry takes URLs only from hosts it was told of.
	server := httptest.NewServer(memory.New(memory.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	r := &testenv.RegistryServer{Addr: strings.TrimPrefix(server.URL, "http://")}
	ref := r.PushImage(t, "base:1", mutate.ConfigMediaType(image, types.OCIConfigJSON))
	base := resolve(t, newClient(t, openStore(t), registry.Options{}), ref).Layers[0]
	want, err := foreign.Size()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := readBlob(t.Context(), base); n != want || err != nil {
		t.Errorf("read %d bytes, %v; want %d", n, err, want)
	}
}

func BenchmarkPull(b *testing.B) {
	const size = 100_000_000
	r := testenv.Registry(b)
	var layers []v1.Layer
	for range 4 {
		layers = append(layers, randomLayer(b, size/4))
	}
	ref := r.Push(b, "base:1", layers...)
	b.SetBytes(size)
	for b.Loop() {
		image := resolve(b, newClient(b, openStore(b), registry.Options{}), ref)
		errs := make(chan error)
		for _, l := range image.Layers {
			go func() {
				_, err := readBlob(b.Context(), l)
				errs <- err
			}()
		}
		for range image.Layers {
			if err := <-errs; err != nil {
				b.Fatal(err)
			}
		}
	}
}
