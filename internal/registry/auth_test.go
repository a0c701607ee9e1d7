package registry_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/testenv"
)

// account is a user of a registry: the password, and what is allowed, as
// "repository:action".
type account struct {
	password string
	allowed  []string
}

// tokens puts a token server in front of a registry, as the large registries
// have it: tokens are given for scopes, and a token is wanted for everything.
// The account "" is anybody's.
func tokens(accounts map[string]account) testenv.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/token" {
				giveToken(w, q, accounts)
				return
			}
			granted := strings.Fields(strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer "))
			if slices.Contains(granted, neededFor(q)) {
				next.ServeHTTP(w, q)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, q.Host))
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
		})
	}
}

// neededFor names what a token has to grant for a request.
func neededFor(q *http.Request) string {
	path := strings.TrimPrefix(q.URL.Path, "/v2/")
	if path == "" {
		return "nothing is enough to ping"
	}
	for _, part := range []string{"/blobs/", "/manifests/"} {
		path, _, _ = strings.Cut(path, part)
	}
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		return path + ":pull"
	}
	return path + ":push"
}

// giveToken answers with a token that grants what is asked for and allowed. The
// token is the list itself.
func giveToken(w http.ResponseWriter, q *http.Request, accounts map[string]account) {
	user, password, _ := q.BasicAuth()
	known, ok := accounts[user]
	if !ok || known.password != password {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`))
		return
	}
	granted := []string{"none"}
	for _, scope := range q.URL.Query()["scope"] {
		parts := strings.Split(scope, ":") // repository:name:actions
		for action := range strings.SplitSeq(parts[2], ",") {
			if slices.Contains(known.allowed, parts[1]+":"+action) {
				granted = append(granted, parts[1]+":"+action)
			}
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"token": strings.Join(granted, " ")})
}

// credentials writes a file as docker login does and returns its path.
func credentials(t *testing.T, entries map[string]string) string {
	t.Helper()
	auths := make(map[string]map[string]string)
	for host, userPassword := range entries {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(userPassword))}
	}
	content, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "config.json", string(content))
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPushAndPullWithTokens(t *testing.T) {
	r := testenv.Registry(t, tokens(map[string]account{
		"bob": {"secret", []string{"team/app:push", "team/app:pull", "base:push", "base:pull"}},
	}))
	s := openStore(t)
	c := newClient(t, s, registry.Options{CredentialFiles: []string{credentials(t, map[string]string{r.Addr: "bob:secret"})}})
	if err := push(t, c, imageOf(t, write(t, s, "base")), r.Ref("base:1")); err != nil {
		t.Fatal(err)
	}
	base := resolve(t, c, r.Ref("base:1"))
	r.Reset()
	if err := push(t, c, imageOf(t, append(base.Layers, write(t, s, "app"))...), r.Ref("team/app:1")); err != nil {
		t.Fatal(err)
	}
	mounts := 0
	for _, request := range r.Requests() {
		if request.Kind == testenv.BlobMount && request.Status == http.StatusCreated {
			mounts++
		}
	}
	if mounts != 1 {
		t.Errorf("%d layers were mounted, want the base's: the token has to allow reading it; %v", mounts, r.Requests())
	}
}

func TestRefusedCredentialsAreNamedAndNotTold(t *testing.T) {
	r := testenv.Registry(t, tokens(map[string]account{"bob": {"secret", []string{"app:pull"}}}))
	file := credentials(t, map[string]string{r.Addr: "bob:wrong-password"})
	c := newClient(t, openStore(t), registry.Options{CredentialFiles: []string{file}})
	_, _, err := c.StartPush(t.Context(), []string{r.Ref("app:1")})
	if !errors.Is(err, registry.ErrUnauthorized) {
		t.Fatalf("error = %v, want ErrUnauthorized", err)
	}
	for _, want := range []string{file, fmt.Sprintf("%q", r.Addr), "incorrect username or password"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to tell %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("error tells the password: %v", err)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "docker login "+r.Addr) {
		t.Errorf("error %v does not say how to log in", err)
	}
}

func TestPullWithoutCredentialsWhereThatIsEnough(t *testing.T) {
	r := testenv.Registry(t, tokens(map[string]account{
		"":    {"", []string{"public:pull"}},
		"bob": {"secret", []string{"public:push", "public:pull"}},
	}))
	s := openStore(t)
	good := credentials(t, map[string]string{r.Addr: "bob:secret"})
	if err := push(t, newClient(t, s, registry.Options{CredentialFiles: []string{good}}), imageOf(t, write(t, s, "x")), r.Ref("public:1")); err != nil {
		t.Fatal(err)
	}
	resolve(t, newClient(t, openStore(t), registry.Options{}), r.Ref("public:1"))

	for name, file := range map[string]string{
		"expired":   credentials(t, map[string]string{r.Addr: "bob:old"}),
		"malformed": writeFile(t, "config.json", `{"auths":`),
	} {
		files := []string{file}
		if _, err := newClient(t, openStore(t), registry.Options{CredentialFiles: files}).Resolve(t.Context(), r.Ref("public:1"), amd64); err == nil {
			t.Errorf("%s credentials were passed over without being asked to", name)
		}
		resolve(t, newClient(t, openStore(t), registry.Options{CredentialFiles: files, AnonymousOK: true}), r.Ref("public:1"))
		if _, _, err := newClient(t, openStore(t), registry.Options{CredentialFiles: files, AnonymousOK: true}).StartPush(t.Context(), []string{r.Ref("public:2")}); err == nil {
			t.Errorf("a push with %s credentials was begun without any", name)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	r := testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if user, password, _ := q.BasicAuth(); user != "bob" || password != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	s := openStore(t)
	img := imageOf(t, write(t, s, "x"))
	c := newClient(t, s, registry.Options{CredentialFiles: []string{credentials(t, map[string]string{"http://" + r.Addr + "/v2/": "bob:secret"})}})
	if err := push(t, c, img, r.Ref("app:1")); err != nil {
		t.Fatal(err)
	}
	resolve(t, c, r.Ref("app:1"))
	if err := push(t, newClient(t, s, registry.Options{}), img, r.Ref("app:1")); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("push without credentials: %v, want ErrUnauthorized", err)
	}
}
