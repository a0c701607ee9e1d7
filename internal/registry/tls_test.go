package registry_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/testenv"
)

// behindTLS returns the address of r behind a certificate that nobody knows, on
// a name that is not this machine's for kiln.
func behindTLS(t *testing.T, r *testenv.RegistryServer) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Addr})
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are the point
	server.StartTLS()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "https://")
}

func TestRegistryWithAnUnknownCertificate(t *testing.T) {
	r := testenv.Registry(t)
	pushBase(t, r, "base:1", 10)
	addr := behindTLS(t, r)
	_, port, _ := strings.Cut(addr, ":")
	// 127.0.0.1 is never verified, a name that leads there is.
	ref := notLocal + ":" + port + "/base:1"
	dial := registry.Resolver(map[string]string{notLocal: "127.0.0.1"})

	c := newClient(t, openStore(t), registry.Options{})
	c.Dial(dial)
	if _, err := c.Resolve(t.Context(), ref, amd64); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("resolve: %v, want a complaint about the certificate", err)
	}
	c = newClient(t, openStore(t), registry.Options{InsecureRegistries: []string{notLocal + ":" + port}})
	c.Dial(dial)
	resolve(t, c, ref)
	resolve(t, newClient(t, openStore(t), registry.Options{}), addr+"/base:1")
}

const notLocal = "registry.example.com"

func TestRegistryWithoutTLS(t *testing.T) {
	r := testenv.Registry(t)
	pushBase(t, r, "base:1", 10)
	_, port, _ := strings.Cut(r.Addr, ":")
	ref := notLocal + ":" + port + "/base:1"
	dial := registry.Resolver(map[string]string{notLocal: "127.0.0.1", "10.1.2.3": "127.0.0.1"})

	// Addresses of private networks are no exception: credentials would be
	// readable for everybody on them.
	for _, ref := range []string{ref, "10.1.2.3:" + port + "/base:1"} {
		c := newClient(t, openStore(t), registry.Options{})
		c.Dial(dial)
		_, err := c.Resolve(t.Context(), ref, amd64)
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "--insecure-registry") {
			t.Errorf("resolve %s: %v, want a hint at --insecure-registry", ref, err)
		}
	}
	if n := len(r.Requests()); n != 0 {
		t.Errorf("the registry was spoken to without TLS: %v", r.Requests())
	}
	c := newClient(t, openStore(t), registry.Options{InsecureRegistries: []string{notLocal + ":" + port}})
	c.Dial(dial)
	resolve(t, c, ref)
}

// Storage that a registry sends us to must not see its credentials.
func TestRedirectsDoNotCarryCredentials(t *testing.T) {
	var storage string
	r := testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if isBlobGet(q) && storage != "" {
				http.Redirect(w, q, storage+q.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, q)
		})
	}, tokens(map[string]account{"bob": {"secret", []string{"base:pull", "base:push"}}}))
	pushed := openStore(t)
	files := []string{credentials(t, map[string]string{r.Addr: "bob:secret"})}
	img := imageOf(t, write(t, pushed, "x"))
	if err := push(t, newClient(t, pushed, registry.Options{CredentialFiles: files}), img, r.Ref("base:1")); err != nil {
		t.Fatal(err)
	}
	keepBlob(t, pushed, img.Config)
	blobs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if got := q.Header.Get("Authorization"); got != "" {
			t.Errorf("storage was told %q", got)
		}
		_, digest, _ := strings.Cut(q.URL.Path, "sha256:")
		http.ServeFile(w, q, filepath.Join(pushed.Dir(), "blobs", "sha256", digest))
	}))
	defer blobs.Close()
	storage = blobs.URL
	image := resolve(t, newClient(t, openStore(t), registry.Options{CredentialFiles: files}), r.Ref("base:1"))
	if _, err := readBlob(t.Context(), image.Layers[0]); err != nil {
		t.Error(err)
	}
}
