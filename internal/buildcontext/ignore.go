package buildcontext

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/kiln-build/kiln/internal/tree"
)

// ignoreName is the ignore file at the root of a source tree; behind the name
// of a Dockerfile it names the one that goes with it.
const ignoreName = ".dockerignore"

// Ignore holds the patterns of an ignore file. The nil Ignore ignores nothing.
// Safe for concurrent use.
type Ignore struct {
	// Name is the file the patterns were read from, for messages.
	Name string

	patterns []string
	// matchers are equal: a PatternMatcher compiles as it goes and must not be
	// shared, but its results can.
	matchers   sync.Pool
	exceptions []string // the patterns that start with "!", without it
}

// ReadIgnore reads the ignore file for the source tree dir: the one beside the
// Dockerfile at path dockerfile if there is one (Dockerfile.dockerignore), else
// .dockerignore in dir. dockerfile is "" where it is no file. Without an ignore
// file it returns nil.
func ReadIgnore(dir, dockerfile string) (*Ignore, error) {
	if dockerfile != "" {
		name := dockerfile + ignoreName
		if f, err := os.Open(name); err == nil {
			return parseAndClose(name, f)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read ignore file: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open context: %w", err)
	}
	defer root.Close()
	f, err := root.Open(ignoreName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ignore file: %w", err)
	}
	return parseAndClose(filepath.Join(dir, ignoreName), f)
}

func parseAndClose(name string, f io.ReadCloser) (ig *Ignore, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	return ParseIgnore(name, f)
}

// ParseIgnore reads patterns, one a line, as the reference describes for
// .dockerignore.
func ParseIgnore(name string, r io.Reader) (*Ignore, error) {
	patterns, err := ignorefile.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	first, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	ig := &Ignore{Name: name, patterns: patterns}
	ig.matchers.Put(first)
	for _, p := range first.Patterns() {
		if p.Exclusion() {
			ig.exceptions = append(ig.exceptions, p.String())
		}
	}
	return ig, nil
}

// match reports whether path is ignored, given what was found out about the
// directory that holds it.
func (ig *Ignore) match(path string, parent patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	if ig == nil || len(ig.patterns) == 0 {
		return false, patternmatcher.MatchInfo{}, nil
	}
	m, ok := ig.matchers.Get().(*patternmatcher.PatternMatcher)
	if !ok {
		var err error
		if m, err = patternmatcher.New(ig.patterns); err != nil {
			return false, patternmatcher.MatchInfo{}, err
		}
	}
	defer ig.matchers.Put(m)
	return m.MatchesUsingParentResults(path, parent)
}

// mayReinclude reports whether an exception could match something below the
// ignored directory dir. It may say yes where in the end nothing does.
func (ig *Ignore) mayReinclude(dir string) bool {
	for _, pattern := range ig.exceptions {
		if tree.MayMatchBelow(pattern, dir) {
			return true
		}
	}
	return false
}

// Pattern returns the pattern that path is ignored by, for messages; "" if it
// is not ignored.
func (ig *Ignore) Pattern(path string) string {
	if ig == nil {
		return ""
	}
	by := ""
	for i, pattern := range ig.patterns {
		// Only the last change counts, and each prefix of the patterns tells
		// what they say together so far.
		m, err := patternmatcher.New(ig.patterns[:i+1])
		if err != nil {
			return ""
		}
		ignored, err := matchFromTop(m, path)
		switch {
		case err != nil:
			return ""
		case !ignored:
			by = ""
		case by == "":
			by = pattern
		}
	}
	return by
}

// matchFromTop matches path as a walk that comes to it does: the results for
// the directories above it count. (MatchesOrParentMatches sometimes says
// something else.)
func matchFromTop(m *patternmatcher.PatternMatcher, path string) (ignored bool, err error) {
	var info patternmatcher.MatchInfo
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if ignored, info, err = m.MatchesUsingParentResults(path[:i], info); err != nil {
			return false, err
		}
	}
	return ignored, nil
}

// Patterns returns the patterns as they were read.
func (ig *Ignore) Patterns() []string {
	if ig == nil {
		return nil
	}
	return slices.Clone(ig.patterns)
}
