package gitrepo_test

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/gitrepo"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// origin is a repository made with git, and the ways it is served.
type origin struct {
	dir   string // holds lib.git and app.git
	app   string // a clone to work in
	first string // the first commit of app
}

// newOrigin makes two repositories; app has lib as a submodule, a branch
// "next", and the tags v1 (annotated) and light.
func newOrigin(t *testing.T) origin {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git to make a repository with: ", err)
	}
	o := origin{dir: t.TempDir(), app: filepath.Join(t.TempDir(), "app")}
	lib := filepath.Join(t.TempDir(), "lib")
	o.git(t, "", "init", "--bare", "-b", "main", filepath.Join(o.dir, "lib.git"))
	o.git(t, "", "init", "--bare", "-b", "main", filepath.Join(o.dir, "app.git"))
	o.git(t, "", "init", "-b", "main", lib)
	write(t, filepath.Join(lib, "lib.txt"), "lib", 0o644)
	o.commit(t, lib, "lib.git")

	o.git(t, "", "init", "-b", "main", o.app)
	write(t, filepath.Join(o.app, "README"), "one", 0o644)
	write(t, filepath.Join(o.app, "bin/run"), "#!/bin/sh", 0o755)
	write(t, filepath.Join(o.app, "docs/a/b.md"), "b", 0o644)
	if err := os.Symlink("README", filepath.Join(o.app, "link")); err != nil {
		t.Fatal(err)
	}
	o.commit(t, o.app, "app.git")
	o.first = o.git(t, o.app, "rev-parse", "HEAD")
	o.git(t, o.app, "tag", "light")
	o.git(t, o.app, "tag", "-a", "-m", "one", "v1")
	o.git(t, o.app, "checkout", "-b", "next")
	write(t, filepath.Join(o.app, "README"), "next", 0o644)
	o.git(t, o.app, "-c", "protocol.file.allow=always", "submodule", "add", filepath.Join(o.dir, "lib.git"), "vendor/lib")
	write(t, filepath.Join(o.app, ".gitmodules"), "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n", 0o644)
	o.commit(t, o.app, "app.git")
	o.git(t, o.app, "push", filepath.Join(o.dir, "app.git"), "--tags", "main", "next")
	return o
}

func (o origin) commit(t *testing.T, dir, bare string) {
	t.Helper()
	o.git(t, dir, "add", "-A")
	o.git(t, dir, "commit", "-m", "more")
	o.git(t, dir, "push", filepath.Join(o.dir, bare), "HEAD")
}

func (o origin) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=1600000000 +0000", "GIT_COMMITTER_DATE=1600000000 +0000",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// serve serves the repositories in all ways there are: name -> address.
func (o origin) serve(t *testing.T) map[string]string {
	t.Helper()
	ways := make(map[string]string)
	if backend := filepath.Join(o.git(t, "", "--exec-path"), "git-http-backend"); exists(backend) {
		smart := httptest.NewServer(&cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + o.dir, "GIT_HTTP_EXPORT_ALL=1"}})
		t.Cleanup(smart.Close)
		ways["smart"] = smart.URL
	}
	for _, name := range []string{"loose", "packed"} {
		dir := t.TempDir()
		for _, repo := range []string{"lib.git", "app.git"} {
			path := filepath.Join(dir, repo)
			o.git(t, "", "clone", "--mirror", filepath.Join(o.dir, repo), path)
			if name == "packed" {
				o.git(t, path, "repack", "-a", "-d")
			}
			o.git(t, path, "update-server-info")
		}
		server := httptest.NewServer(http.FileServer(http.Dir(dir)))
		t.Cleanup(server.Close)
		ways[name] = server.URL
	}
	return ways
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fetch(t *testing.T, address string, keep bool) (*gitrepo.View, string, error) {
	t.Helper()
	ref, err := gitrepo.Parse(address)
	if err != nil {
		return nil, "", err
	}
	repo, err := gitrepo.Open(t.Context(), ref, nil)
	if err != nil {
		return nil, "", err
	}
	dir := t.TempDir()
	v, err := repo.Fetch(t.Context(), dir, keep, time.Unix(1, 0))
	return v, dir, err
}

func list(t *testing.T, v tree.View) string {
	t.Helper()
	var lines []string
	err := tree.Walk(v, ".", func(e layer.Entry) error {
		line := e.Path
		switch {
		case strings.HasPrefix(e.Path, ".git/"):
			return nil
		case e.Type == layer.Dir:
			line += "/"
		case e.Type == layer.Symlink:
			line += " -> " + e.Linkname
		default:
			r, err := v.Open(t.Context(), e.Path)
			if err != nil {
				return err
			}
			defer r.Close()
			content, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			line += "=" + string(content)
			if int64(len(content)) != e.Size {
				line += " of another size"
			}
		}
		if e.Mode&0o111 != 0 && e.Type == layer.Regular {
			line += " 755"
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, ", ")
}

func TestFetch(t *testing.T) {
	o := newOrigin(t)
	const one = "README=one, bin/, bin/run=#!/bin/sh 755, docs/, docs/a/, docs/a/b.md=b, link -> README"
	const modules = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n"
	const next = ".gitmodules=" + modules + ", README=next, bin/, bin/run=#!/bin/sh 755, docs/, docs/a/, docs/a/b.md=b, link -> README, vendor/, vendor/lib/"
	for way, server := range o.serve(t) {
		address := server + "/app.git"
		for _, test := range []struct{ name, suffix, want string }{
			{"default branch", "", one},
			{"branch", "#next", next + ", vendor/lib/lib.txt=lib"},
			{"full name", "#refs/heads/main", one},
			{"lightweight tag", "#light", one},
			{"annotated tag", "#v1", one},
			{"commit", "#" + o.first, one},
			{"subdirectory", "#:docs", "a/, a/b.md=b"},
			{"tag and subdirectory", "#v1:/docs/a", "b.md=b"},
			{"query", "?tag=v1&subdir=docs/a", "b.md=b"},
			{"without submodules", "?branch=next&submodules=false", next},
			{"checksum", "?ref=main&checksum=" + o.first[:8], one},
			{"checksum of a tag's commit", "?tag=v1&checksum=" + o.first, one},
		} {
			t.Run(way+"/"+test.name, func(t *testing.T) {
				v, _, err := fetch(t, address+test.suffix, false)
				if err != nil {
					t.Fatal(err)
				}
				if got := list(t, v); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			})
		}
		for suffix, want := range map[string]string{
			"#gone":                        "does not contain ref gone",
			"?ref=main&checksum=123":       "expected checksum to match 123",
			"#:gone":                       "file does not exist",
			"#:README":                     "file does not exist",
			"#" + strings.Repeat("12", 20): "",
		} {
			if _, _, err := fetch(t, address+suffix, false); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: error %v, want %q", way, suffix, err, want)
			}
		}
	}
}

func TestFetchTimes(t *testing.T) {
	o := newOrigin(t)
	for way, server := range o.serve(t) {
		for suffix, want := range map[string]int64{"": 1, "?mtime=commit": 1_600_000_000} {
			v, _, err := fetch(t, server+"/app.git"+suffix, false)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := v.Lstat("README"); err != nil || e.ModTime.Unix() != want {
				t.Errorf("%s, %q: time is %v, error %v", way, suffix, e.ModTime, err)
			}
		}
	}
}

func TestKeptGitDirWorks(t *testing.T) {
	o := newOrigin(t)
	for way, server := range o.serve(t) {
		for _, suffix := range []string{"", "#v1", "#" + o.first} {
			v, dir, err := fetch(t, server+"/app.git"+suffix, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := list(t, v); !strings.HasPrefix(got, ".git/, ") {
				t.Errorf("%s: there is no .git: %s", way, got)
			}
			if got := o.git(t, dir, "rev-parse", "HEAD"); got != o.first {
				t.Errorf("%s: HEAD is %s, want %s", way, got, o.first)
			}
			o.git(t, dir, "fsck")
			o.git(t, dir, "checkout", ".")
			if got := o.git(t, dir, "status", "--porcelain"); got != "" {
				t.Errorf("%s: git sees changes: %s", way, got)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string]gitrepo.Ref{
		"https://h/r.git":                     {Remote: "https://h/r.git", Subdir: ".", Submodules: true},
		"https://h/r.git#v1:/docs/../x":       {Remote: "https://h/r.git", Name: "v1", Subdir: "x", Submodules: true},
		"git@h:r.git#:../x":                   {Remote: "git@h:r.git", Subdir: "x", Submodules: true},
		"ssh://git@h/r.git?branch=b":          {Remote: "ssh://git@h/r.git", Name: "refs/heads/b", Subdir: ".", Submodules: true},
		"git://h/r?tag=t&submodules=0":        {Remote: "git://h/r", Name: "refs/tags/t", Subdir: "."},
		"https://h/r.git?commit=abc#main":     {Remote: "https://h/r.git", Name: "main", Commit: "abc", Subdir: ".", Submodules: true},
		"https://h/r.git?mtime=commit&ref=x":  {Remote: "https://h/r.git", Name: "x", Subdir: ".", Submodules: true, CommitTimes: true},
		"https://h/r.git?submodules&subdir=d": {Remote: "https://h/r.git", Subdir: "d", Submodules: true},
	} {
		if got, err := gitrepo.Parse(s); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"file:///etc", "ext::sh", "/path", "https://h/r.git?x=y", "https://h/r.git?ref=a#b", "https://h/r.git?commit=xyz", "https://h/r.git?submodules=maybe",
		"https://h/r.git?mtime=never", "https://h/r.git?ref=a&ref=b",
	} {
		if got, err := gitrepo.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", s, got)
		}
	}
}
