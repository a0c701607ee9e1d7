package conformance_test

import (
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A baseRegistry is a registry on the loopback interface with the base images.
type baseRegistry struct {
	host       string
	base, bare v1.Image
}

// startRegistry serves the base images until the test ends.
func startRegistry(t *testing.T) *baseRegistry {
	t.Helper()
	if _, err := os.Stat(busyboxPath); err != nil {
		t.Skipf("the base image is made of busybox (Debian: busybox-static): %v", err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	r := &baseRegistry{host: strings.TrimPrefix(server.URL, "http://")}
	for image, bare := range map[string]bool{"base": false, "bare": true} {
		img, err := makeBase(bare)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(r.host+"/"+image, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err != nil {
			t.Fatal(err)
		}
		if bare {
			r.bare = img
		} else {
			r.base = img
		}
	}
	return r
}

// names are the invented names of servers and the real ones that stand for
// them in one run of one case.
type names struct{ toReal, toInvented *strings.Replacer }

// ownRepository is where the images of a case are in the registry.
func ownRepository(c *testCase) string { return c.theme + "-" + c.name }

func newNames(c *testCase, registryHost, serverURL string) names {
	pairs := [][2]string{
		{"registry.test/own/", registryHost + "/" + ownRepository(c) + "/"},
		{"registry.test/", registryHost + "/"},
		{"http://git.test/", serverURL + "/git/"},
		{"http://server.test/", serverURL + "/"},
	}
	var forth, back []string
	for _, p := range pairs {
		forth = append(forth, p[0], p[1])
		back = append(back, p[1], p[0])
	}
	return names{strings.NewReplacer(forth...), strings.NewReplacer(back...)}
}

// A fileServer serves @www of a workspace, and the repositories made of @git.
type fileServer struct {
	dir     string
	headers map[string]http.Header
	git     http.Handler
}

// startFiles serves a case's files until the test ends. The directory is where
// its workspace will be.
func startFiles(t *testing.T, c *testCase, dir string) string {
	t.Helper()
	s := &fileServer{dir: dir, headers: make(map[string]http.Header)}
	for _, cmd := range c.find("serve") {
		h := s.headers["/"+cmd.arg(0)]
		if h == nil {
			h = make(http.Header)
			s.headers["/"+cmd.arg(0)] = h
		}
		h.Set(cmd.arg(1), cmd.arg(2))
	}
	s.git = gitHandler(t, dir)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/git/") {
		s.git.ServeHTTP(w, r)
		return
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "@www", filepath.Clean(r.URL.Path)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	for key, values := range s.headers[r.URL.Path] {
		w.Header()[key] = values
	}
	if status := w.Header().Get("Location"); status != "" {
		w.WriteHeader(http.StatusFound)
		return
	}
	_, _ = w.Write(data) // a client that goes away is no concern of the test
}

// gitHandler serves repositories as git's own server does.
func gitHandler(t *testing.T, dir string) http.Handler {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		return http.NotFoundHandler()
	}
	return &cgi.Handler{
		Path: path, Args: []string{"http-backend"}, Root: "/git",
		Env:    []string{"GIT_PROJECT_ROOT=" + filepath.Join(dir, "repositories"), "GIT_HTTP_EXPORT_ALL=1"},
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard,
	}
}

// gitTime is when the commits of all repositories were made, so that their
// hashes are always the same.
const gitTime = "2004-04-04T04:04:04Z"

// makeRepositories commits the files below @git to bare repositories, each with
// a branch main, a branch older without the last file, and a tag v1 of main.
func makeRepositories(w *workspace) error {
	sources, err := filepath.Glob(filepath.Join(w.dir, "@git", "*"))
	if err != nil {
		return err
	}
	for _, source := range sources {
		bare := filepath.Join(w.dir, "repositories", filepath.Base(source)+".git")
		for _, args := range [][]string{
			{"init", "-q", "-b", "main", source},
			{"-C", source, "commit", "-q", "--allow-empty", "-m", "nothing yet"},
			{"-C", source, "branch", "older"},
			{"-C", source, "add", "-A"},
			{"-C", source, "commit", "-q", "-m", "all files"},
			{"-C", source, "tag", "v1"},
			{"clone", "-q", "--bare", source, bare},
		} {
			if err := runGit(args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func runGit(args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE="+gitTime,
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE="+gitTime)
	return runCommand(cmd)
}
