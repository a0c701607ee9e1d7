package buildcontext_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/kiln-build/kiln/internal/buildcontext"
	"github.com/kiln-build/kiln/internal/layer"
)

// naively lists what is not ignored: everything is walked, and the matcher is
// asked as BuildKit does. A directory is shown if it or something in it is not
// ignored.
func naively(t *testing.T, dir, patterns string) string {
	t.Helper()
	lines, err := ignorefile.ReadAll(strings.NewReader(patterns))
	must(t, err)
	m, err := patternmatcher.New(lines)
	must(t, err)
	shown, infos := make(map[string]bool), make(map[string]patternmatcher.MatchInfo)
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path == dir {
			return err
		}
		path = path[len(dir)+1:]
		ignored, info, err := m.MatchesUsingParentResults(path, infos[filepath.Dir(path)])
		infos[path] = info
		if err == nil && !ignored {
			for ; path != "."; path = filepath.Dir(path) {
				shown[path] = true
			}
		}
		return err
	}))
	var paths []string
	for path := range shown {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, layer.Compare)
	return strings.Join(paths, " ")
}

func TestRandomPatternsAgreeWithTheNaiveWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		dir := t.TempDir()
		names := []string{"a", "b", "c.x", "d.y", ".e"}
		for range r.IntN(30) {
			path := filepath.Join(dir, randomPath(r, names))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			if _, err := os.Lstat(path); err == nil {
				continue
			}
			must(t, os.WriteFile(path, nil, 0o644))
		}
		patterns := randomPatterns(r)
		if got, want := list(t, open(t, dir, patterns)), naively(t, dir, patterns); got != want {
			t.Fatalf("with\n%s\nshows %q\nwant  %q", patterns, got, want)
		}
	}
}

func randomPath(r *rand.Rand, names []string) string {
	path := fmt.Sprint("f", r.IntN(9))
	for range r.IntN(4) {
		path = names[r.IntN(len(names))] + "/" + path
	}
	return path
}

func randomPatterns(r *rand.Rand) string {
	segments := []string{"a", "b", "c.x", ".e", "*", "*", "**", "**", "?", "*.x", "[ab]", "[^a]", "f*", "f1", "f2", "\\a", "a**"}
	var lines []string
	for range r.IntN(6) {
		var pattern []string
		for range 1 + r.IntN(3) {
			pattern = append(pattern, segments[r.IntN(len(segments))])
		}
		line := strings.Join(pattern, "/")
		line = []string{"", "", "/", "  "}[r.IntN(4)] + line + []string{"", "", "/", " "}[r.IntN(4)]
		if r.IntN(3) == 0 {
			line = "!" + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestIgnorePattern(t *testing.T) {
	ig, err := buildcontext.ParseIgnore("x", strings.NewReader("*.log\nbuild\n!build/keep\n# build/keep\nbuild/keep/not"))
	must(t, err)
	for path, want := range map[string]string{
		"a.log": "*.log", "build": "build", "build/x/y": "build", "build/keep": "", "build/keep/x": "", "build/keep/not/x": "build/keep/not", "src": "",
	} {
		if got := ig.Pattern(path); got != want {
			t.Errorf("%s is ignored by %q, want %q", path, got, want)
		}
	}
}

// manyFiles makes a tree of n files, a hundred a directory.
func manyFiles(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("module-%d", i/10_000), fmt.Sprintf("package-%d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file-%d.go", i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func BenchmarkWalk100kFiles(b *testing.B) {
	dir := manyFiles(b, 100_000)
	patterns := "**/*.log\nnode_modules\n**/__pycache__\n.git\n**/*.py[co]\nmodule-9\n!module-9/package-999\n"
	for b.Loop() {
		ignore, err := buildcontext.ParseIgnore("x", strings.NewReader(patterns))
		if err != nil {
			b.Fatal(err)
		}
		d, err := buildcontext.Open(dir, ignore)
		if err != nil {
			b.Fatal(err)
		}
		if n := walkAhead(b, d, "."); n < 90_000 {
			b.Fatal(n)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// walkAhead walks as COPY does: saying where it goes next.
func walkAhead(b *testing.B, d *buildcontext.Dir, path string) int {
	entries, err := d.ReadDir(path)
	if err != nil {
		b.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.Type == layer.Dir {
			dirs = append(dirs, e.Path)
		}
	}
	d.Prefetch(dirs...)
	n := len(entries)
	for _, dir := range dirs {
		n += walkAhead(b, d, dir)
	}
	return n
}
