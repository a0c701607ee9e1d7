package step

import (
	"fmt"

	"github.com/moby/patternmatcher"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// prefetcher is a view that can read directories in the background.
type prefetcher interface{ Prefetch(paths ...string) }

// picked is one thing that a pick copies.
type picked struct {
	layer.Entry
	// rel is the path below the pick's root, "" for the root itself.
	rel string
	// parent marks a directory that is not picked itself but holds something
	// that is.
	parent bool
}

// filter walks a pick. Its rules are those of BuildKit's copy: a path is copied
// if an include pattern matches it or a parent (where there are any) and no
// exclude pattern does; patterns are relative to the pick's root, which is
// itself always copied.
type filter struct {
	view             tree.View
	root             string
	include, exclude *patternmatcher.PatternMatcher
	yield            func(picked) error
	parents          []pendingParent
	found            int
}

// pendingParent is a directory above what is being looked at.
type pendingParent struct {
	picked
	done bool // yielded
}

// matched is what the patterns say about a directory, for what is in it.
type matched struct{ include, exclude patternmatcher.MatchInfo }

// walk calls yield for everything p copies, directories before what they hold.
func (s *Selection) walk(p pick, yield func(picked) error) error {
	f := &filter{view: s.view, root: p.root.Path, yield: yield}
	var err error
	if len(p.include) > 0 {
		if f.include, err = patternmatcher.New(p.include); err != nil {
			return fmt.Errorf("match source %s: %w", p.source.Path, err)
		}
	}
	if len(s.op.Excludes) > 0 {
		if f.exclude, err = patternmatcher.New(s.op.Excludes); err != nil {
			return fmt.Errorf("match --exclude: %w", err)
		}
	}
	if err := yield(picked{Entry: p.root}); err != nil {
		return err
	}
	if p.root.Type == layer.Dir {
		if err := f.dir(p.root.Path, matched{}); err != nil {
			return err
		}
	}
	if p.need && p.include != nil && f.found == 0 {
		path := joinRel(p.root.Path, p.include[0])
		return s.missing(p.source, path, path)
	}
	return nil
}

// dir looks at what is in a directory; info is what was found out about it.
func (f *filter) dir(path string, info matched) error {
	entries, err := f.view.ReadDir(path)
	if err != nil {
		return err
	}
	f.prefetch(entries)
	for _, e := range entries {
		if err := f.entry(e, f.rel(e.Path), info); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) prefetch(entries []layer.Entry) {
	view, ok := f.view.(prefetcher)
	if !ok || f.include != nil || f.exclude != nil {
		return // may not go everywhere
	}
	var dirs []string
	for i := range entries {
		if entries[i].Type == layer.Dir {
			dirs = append(dirs, entries[i].Path)
		}
	}
	view.Prefetch(dirs...)
}

func (f *filter) entry(e layer.Entry, rel string, parent matched) error {
	included, info, err := f.match(rel, parent)
	if err != nil {
		return err
	}
	if included {
		f.found++
		if err := f.yieldParents(); err != nil {
			return err
		}
		if err := f.yield(picked{Entry: e, rel: rel}); err != nil {
			return err
		}
	}
	if e.Type != layer.Dir || !included && !f.mayIncludeBelow(rel) {
		return nil
	}
	f.parents = append(f.parents, pendingParent{picked{e, rel, true}, included})
	defer func() { f.parents = f.parents[:len(f.parents)-1] }()
	return f.dir(e.Path, info)
}

// rel returns the part of path below the root.
func (f *filter) rel(path string) string {
	if f.root == "." {
		return path
	}
	return path[len(f.root)+1:]
}

// yieldParents yields the directories above what is yielded next, once.
func (f *filter) yieldParents() error {
	for i := range f.parents {
		if f.parents[i].done {
			continue
		}
		f.parents[i].done = true
		if err := f.yield(f.parents[i].picked); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) match(rel string, parent matched) (included bool, info matched, err error) {
	included = true
	if f.include != nil {
		if included, info.include, err = f.include.MatchesUsingParentResults(rel, parent.include); err != nil {
			return false, info, fmt.Errorf("match source: %w", err)
		}
	}
	if f.exclude != nil {
		var excluded bool
		if excluded, info.exclude, err = f.exclude.MatchesUsingParentResults(rel, parent.exclude); err != nil {
			return false, info, fmt.Errorf("match --exclude: %w", err)
		}
		included = included && !excluded
	}
	return included, info, nil
}

// mayIncludeBelow reports whether something below the directory rel, which is
// not copied itself, may be.
func (f *filter) mayIncludeBelow(rel string) bool {
	if f.exclude != nil && f.exclude.Exclusions() {
		return true
	}
	if f.include == nil {
		return false
	}
	for _, p := range f.include.Patterns() {
		if tree.MayMatchBelow(p.String(), rel) {
			return true
		}
	}
	return false
}

// joinRel puts rel below dir, either of which may be the root.
func joinRel(dir, rel string) string {
	switch {
	case dir == "." || dir == "":
		return rel
	case rel == "." || rel == "":
		return dir
	}
	return dir + "/" + rel
}
