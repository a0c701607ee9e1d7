package buildcontext_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/buildcontext"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// files makes a directory of files; a name that ends in "/" is a directory.
func files(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte("content of "+name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, dir, patterns string) *buildcontext.Dir {
	t.Helper()
	ignore, err := buildcontext.ParseIgnore(".dockerignore", strings.NewReader(patterns))
	if err != nil {
		t.Fatal(err)
	}
	d, err := buildcontext.Open(dir, ignore)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func list(t *testing.T, v tree.View) string {
	t.Helper()
	var paths []string
	err := tree.Walk(v, ".", func(e layer.Entry) error {
		paths = append(paths, e.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(paths, " ")
}

func TestDirAppliesPatterns(t *testing.T) {
	dir := files(t, "Dockerfile", "a/b/c.go", "a/b/d.txt", "a/e.go", "f.txt", "g/", "node_modules/x/y.js")
	tests := []struct{ name, patterns, want string }{
		{"none", "", "Dockerfile a a/b a/b/c.go a/b/d.txt a/e.go f.txt g node_modules node_modules/x node_modules/x/y.js"},
		{"a directory", "node_modules\na/b/", "Dockerfile a a/e.go f.txt g"},
		{"at any depth", "**/*.txt\n/node_modules", "Dockerfile a a/b a/b/c.go a/e.go g"},
		{"comments and blanks", "# *\n\n  f.txt  \nnode_modules\n**/*.go", "Dockerfile a a/b a/b/d.txt g"},
		{"all but one", "*\n!a/b/c.go", "a a/b a/b/c.go"},
		{"all but a directory", "*\n!a", "a a/b a/b/c.go a/b/d.txt a/e.go"},
		{"exceptions at any depth", "*\n!**/*.go", "a a/b a/b/c.go a/e.go"},
		{"the last match wins", "*\n!a\na/b", "a a/e.go"},
		{"everything", "*", ""},
		{"the Dockerfile", "Dockerfile\nnode_modules\na", "f.txt g"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := list(t, open(t, dir, test.patterns)); got != test.want {
				t.Errorf("shows %q, want %q", got, test.want)
			}
		})
	}
}

func TestDirReadsFiles(t *testing.T) {
	d := open(t, files(t, "a/b", "secret"), "secret")
	r, err := d.Open(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "content of a/b" {
		t.Errorf("a/b reads %q, error %v", got, err)
	}
	if _, err := d.Open(t.Context(), "secret"); err == nil {
		t.Error("an ignored file was opened")
	}
	if pattern, _, ok := d.IgnoredBy("secret"); !ok || pattern != "secret" {
		t.Errorf("secret is ignored by %q, %v", pattern, ok)
	}
}

func TestDirLeavesOutWhatIsHidden(t *testing.T) {
	dir := files(t, "a", "kiln/blobs/b", "sub/c")
	d := open(t, dir, "")
	if err := d.Hide(filepath.Join(dir, "kiln")); err != nil {
		t.Fatal(err)
	}
	if got := list(t, d); strings.Contains(got, "kiln") || !strings.Contains(got, "sub/c") {
		t.Errorf("with kiln/ hidden the tree shows\n%s", got)
	}
}
