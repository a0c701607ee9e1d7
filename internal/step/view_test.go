package step_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/step"
	"github.com/kiln-build/kiln/internal/tree"
)

// memory is a view that is written down in a test.
type memory struct {
	entries  map[string]layer.Entry
	contents map[string]string
}

// now is when everything happens in these tests; old is when what exists was
// made.
var (
	now = time.Unix(1_700_000_000, 0)
	old = time.Unix(1_600_000_000, 0)
)

// view makes a view of lines like
//
//	a/b/                 a directory
//	a/b/c                a file, its content is its name
//	a/b/c=text           a file with that content
//	l -> target          a symbolic link
//	h => first           a hard link
//	f 4755 1:2           mode and owner (both, for any type)
//	a␣b=c¶               a name with a space in it, a content that ends in a newline
//
// Directories that are not written down are 755 and root's.
func view(lines ...string) *memory {
	m := &memory{entries: make(map[string]layer.Entry), contents: make(map[string]string)}
	m.add(layer.Entry{Path: ".", Type: layer.Dir, Mode: 0o755, ModTime: old})
	for _, line := range lines {
		m.line(line)
	}
	return m
}

func (m *memory) line(line string) {
	words := strings.Fields(line)
	for i := range words {
		words[i] = strings.NewReplacer("␣", " ", "¶", "\n").Replace(words[i])
	}
	path, content, hasContent := strings.Cut(words[0], "=")
	e := layer.Entry{Type: layer.Regular, Mode: 0o644, ModTime: old}
	if strings.HasSuffix(path, "/") {
		e.Type, e.Mode, path = layer.Dir, 0o755, strings.TrimSuffix(path, "/")
	}
	if !hasContent {
		content = path
	}
	words = words[1:]
	if len(words) > 1 && words[0] == "->" {
		e.Type, e.Mode, e.Linkname, words = layer.Symlink, 0o777, words[1], words[2:]
	} else if len(words) > 1 && words[0] == "=>" {
		e, content = m.entries[words[1]], m.contents[words[1]]
		e.Linkname, words = words[1], words[2:]
	}
	if len(words) == 2 {
		mode, _ := strconv.ParseUint(words[0], 8, 32)
		e.Mode = uint32(mode)
		_, _ = fmt.Sscanf(words[1], "%d:%d", &e.UID, &e.GID)
	}
	e.Path = path
	if e.Type == layer.Regular {
		m.contents[path], e.Size = content, int64(len(content))
	}
	m.add(e)
}

func (m *memory) add(e layer.Entry) {
	m.entries[e.Path] = e
	if parent := layer.Parent(e.Path); e.Path != "." {
		if _, ok := m.entries[parent]; !ok {
			m.add(layer.Entry{Path: parent, Type: layer.Dir, Mode: 0o755, ModTime: old})
		}
	}
}

func (m *memory) Lstat(path string) (layer.Entry, error) {
	if e, ok := m.entries[path]; ok {
		return e, nil
	}
	return layer.Entry{}, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
}

func (m *memory) ReadDir(path string) ([]layer.Entry, error) {
	var entries []layer.Entry
	for _, p := range slices.SortedFunc(maps.Keys(m.entries), layer.Compare) {
		if p != "." && layer.Parent(p) == path {
			entries = append(entries, m.entries[p])
		}
	}
	return entries, nil
}

func (m *memory) Open(_ context.Context, path string) (io.ReadCloser, error) {
	content, ok := m.contents[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

// copier makes a Copier for a test.
func copier(t *testing.T) *step.Copier {
	t.Helper()
	dir := t.TempDir()
	c := &step.Copier{Scratch: func() (string, error) { return dir, nil }, Now: func() time.Time { return now }}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// paths makes sources of paths.
func paths(names ...string) []plan.Source {
	var sources []plan.Source
	for _, name := range names {
		sources = append(sources, plan.Source{Path: name})
	}
	return sources
}

// describe writes a delta down in the language of view: "path mode uid:gid",
// the content of files after "=", only what differs from view's defaults.
func describe(t *testing.T, d layer.Delta) []string {
	t.Helper()
	requireValid(t, d)
	var lines []string
	for i, e := range d.Entries() {
		line := e.Path
		mode := uint32(0o644)
		switch e.Type {
		case layer.Regular:
			line += "=" + read(t, d, i)
		case layer.Dir:
			line, mode = line+"/", 0o755
		case layer.Symlink:
			line, mode = line+" -> "+e.Linkname, 0o777
		case layer.Link:
			line += " => " + e.Linkname
		case layer.Opaque:
			line += " opaque"
			mode = 0
		default:
			line += fmt.Sprintf(" type %d %d:%d", e.Type, e.Major, e.Minor)
		}
		if e.Mode != mode || e.UID != 0 || e.GID != 0 {
			line += fmt.Sprintf(" %o %d:%d", e.Mode, e.UID, e.GID)
		}
		lines = append(lines, line)
	}
	return lines
}

// requireValid checks that d keeps what layer.Delta promises.
func requireValid(t *testing.T, d layer.Delta) {
	t.Helper()
	entries := d.Entries()
	regular := make(map[string]bool)
	for i, e := range entries {
		if e.Path != tree.Clean(e.Path) || e.Path == "." {
			t.Errorf("entry %q is not a clean path below the root", e.Path)
		}
		if i > 0 {
			before := entries[i-1]
			marked := before.Path == e.Path && before.Type == layer.Opaque && e.Type == layer.Dir
			if layer.Compare(before.Path, e.Path) >= 0 && !marked {
				t.Errorf("%q comes before %q", before.Path, e.Path)
			}
		}
		switch {
		case e.Type == layer.Regular:
			regular[e.Path] = true
			if e.Linkname != "" {
				t.Errorf("file %s links to %s", e.Path, e.Linkname)
			}
		case e.Size != 0:
			t.Errorf("%s is no file, but has a size", e.Path)
		case e.Type == layer.Link && !regular[e.Linkname]:
			t.Errorf("%s links to %s, which is no file before it", e.Path, e.Linkname)
		}
		if e.Mode > 0o7777 {
			t.Errorf("%s has the mode %o", e.Path, e.Mode)
		}
	}
}

func read(t *testing.T, d layer.Delta, i int) string {
	t.Helper()
	r, err := d.Open(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var _ tree.View = (*memory)(nil)
