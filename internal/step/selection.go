package step

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kiln-build/kiln/internal/gitrepo"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/tree"
)

// Selection is what a COPY or ADD copies: its sources, resolved. It does not
// depend on where they are copied to.
type Selection struct {
	copier *Copier
	op     *plan.Copy
	view   tree.View
	picks  []pick
	count  int // how much Digest has found there is to copy

	mu        sync.Mutex
	downloads map[string]*download     // by URL
	repos     map[string]*gitrepo.Repo // by address
}

// pick is one thing that is copied: a file, or the content of a directory. A
// pattern gives one for each match.
type pick struct {
	source  plan.Source
	root    layer.Entry // what a path leads to, in the view
	name    string      // what the file is called in a destination directory
	include []string    // with --parents: the pattern for what is below root
	need    bool        // fail if nothing below root is included
}

// newSelection resolves the sources of op, in order.
func newSelection(c *Copier, op *plan.Copy, view tree.View) (*Selection, error) {
	s := &Selection{copier: c, op: op, view: view}
	for _, source := range op.Sources {
		var err error
		switch {
		case source.Path == "":
			s.picks = append(s.picks, pick{source: source})
		case op.Parents:
			err = s.addParents(source)
		default:
			err = s.addMatches(source, source.Path, pick{})
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addParents adds a source of COPY --parents: everything below the pivot (the
// part before "/./", else the root) that the rest of the path matches.
func (s *Selection) addParents(source plan.Source) error {
	root, pattern, pivot := strings.Cut(source.Path, "/./")
	if !pivot {
		root, pattern = "/", source.Path
	}
	p := pick{need: !hasWildcards(root) && !hasWildcards(pattern)}
	if pattern = tree.Clean(pattern); pattern != "." {
		p.include = []string{pattern}
	}
	return s.addMatches(source, root, p)
}

// addMatches adds a pick like p for everything that path matches.
func (s *Selection) addMatches(source plan.Source, path string, p pick) error {
	paths := []string{tree.Clean(path)}
	if hasWildcards(paths[0]) {
		var err error
		if paths, err = s.expand(source, paths[0]); err != nil {
			return err
		}
	}
	for _, path := range paths {
		var err error
		p.source, p.name = source, layer.Base(path)
		if p.root, err = s.resolve(source, path); err != nil {
			return err
		}
		s.picks = append(s.picks, p)
	}
	return nil
}

// resolve follows a named source to what is copied: the target of a link, not
// the link.
func (s *Selection) resolve(source plan.Source, path string) (layer.Entry, error) {
	resolved, err := tree.Resolve(s.view, path)
	if err != nil {
		return layer.Entry{}, fmt.Errorf("find source %s: %w", source.Path, err)
	}
	e, err := s.view.Lstat(resolved)
	if errors.Is(err, fs.ErrNotExist) {
		return layer.Entry{}, s.missing(source, path, resolved)
	}
	if err != nil {
		return layer.Entry{}, fmt.Errorf("find source %s: %w", source.Path, err)
	}
	return e, nil
}

// expand returns what a pattern matches, in order. As in BuildKit, the part
// before the first wildcard may lead through links, "*" stops at a slash, and
// no match is no error.
func (s *Selection) expand(source plan.Source, pattern string) ([]string, error) {
	base, pattern := splitWildcards(pattern)
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("match source %s: %w", source.Path, err)
	}
	root, err := s.resolve(source, base)
	if err != nil {
		return nil, err
	}
	if root.Type != layer.Dir {
		return nil, nil
	}
	g := glob{view: s.view, pattern: pattern, segments: strings.Split(pattern, "/")}
	if err := g.walk(root.Path, "", 0); err != nil {
		return nil, fmt.Errorf("match source %s: %w", source.Path, err)
	}
	return g.matches, nil
}

// glob finds what matches a pattern below a directory.
type glob struct {
	view     tree.View
	pattern  string
	segments []string
	matches  []string
}

func (g *glob) walk(dir, rel string, depth int) error {
	entries, err := g.view.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := layer.Base(e.Path)
		path := rel + name
		if depth == len(g.segments)-1 {
			if ok, err := filepath.Match(g.pattern, path); err == nil && ok {
				g.matches = append(g.matches, e.Path)
			}
			continue
		}
		// A segment may not be a pattern by itself ("[a/b]"): then look inside.
		ok, err := filepath.Match(g.segments[depth], name)
		if e.Type != layer.Dir || err == nil && !ok {
			continue
		}
		if err := g.walk(e.Path, path+"/", depth+1); err != nil {
			return err
		}
	}
	return nil
}

// hasWildcards reports whether path is a pattern.
func hasWildcards(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// splitWildcards cuts path before its first element that has a wildcard.
func splitWildcards(path string) (base, pattern string) {
	elems := strings.Split(path, "/")
	for i, elem := range elems {
		if hasWildcards(elem) {
			base = strings.Join(elems[:i], "/")
			if base == "" {
				base = "."
			}
			return base, strings.Join(elems[i:], "/")
		}
	}
	return path, ""
}
