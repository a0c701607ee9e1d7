package testenv

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the driver registers itself
	"github.com/sirupsen/logrus"
)

// RegistryServer is a registry on a free port of 127.0.0.1, without TLS and
// without credentials. It is the reference implementation, with its blobs in a
// directory of the test, and it remembers what it was asked.
type RegistryServer struct {
	// Addr is its "host:port".
	Addr string

	mu       sync.Mutex
	requests []Request
}

// Middleware is put in front of a registry to make it fail, wait or ask for
// credentials.
type Middleware func(http.Handler) http.Handler

// Registry starts a registry that ends with the test. What the middlewares let
// through, and what they answer themselves, is recorded alike.
func Registry(t testing.TB, middlewares ...Middleware) *RegistryServer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	logrus.SetOutput(io.Discard) // the registry logs every request, whatever its configuration says
	app := handlers.NewApp(ctx, &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  {"rootdirectory": t.TempDir()},
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
	})
	var handler http.Handler = app
	for _, wrap := range middlewares {
		handler = wrap(handler)
	}
	r := &RegistryServer{}
	server := httptest.NewServer(r.record(handler))
	r.Addr = strings.TrimPrefix(server.URL, "http://")
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		if err := app.Shutdown(); err != nil {
			t.Errorf("stop the registry: %v", err)
		}
	})
	return r
}

// Ref returns the reference of name, "repository", "repository:tag" or
// "repository@digest", in this registry.
func (r *RegistryServer) Ref(name string) string { return r.Addr + "/" + name }

// Requests returns what the registry was asked, in the order of the answers.
func (r *RegistryServer) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Count returns how many requests there were of any of the kinds, the failed
// ones too.
func (r *RegistryServer) Count(kinds ...Kind) int {
	n := 0
	for _, request := range r.Requests() {
		if slices.Contains(kinds, request.Kind) {
			n++
		}
	}
	return n
}

// Reset forgets the requests so far.
func (r *RegistryServer) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// record passes requests on and remembers them with their answers.
func (r *RegistryServer) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body := &countingBody{ReadCloser: q.Body}
		q.Body = body
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		// Deferred, for a middleware may hang up with a panic.
		defer func() {
			request := classify(q, answer.status)
			request.Received, request.Sent = body.n, answer.n
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, request)
		}()
		next.ServeHTTP(answer, q)
	})
}

type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

type statusWriter struct {
	http.ResponseWriter
	status int
	n      int64
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
