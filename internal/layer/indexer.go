package layer

import (
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// BuildIndex reads changes to their end and returns their index. The content
// of regular files is read for its digest. Changes that no unpacking in order
// could make sense of are an error that names the entry.
func BuildIndex(changes iter.Seq2[Change, error]) (Index, error) {
	var index Index
	done := func(x Index) error {
		index = x
		return nil
	}
	for _, err := range indexed(changes, done) {
		if err != nil {
			return nil, err
		}
	}
	return index, nil
}

// indexed passes changes on, and hands their index to done after the last.
func indexed(changes iter.Seq2[Change, error], done func(Index) error) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		var list []Entry
		content := sha256.New()
		for c, err := range changes {
			if err != nil {
				yield(Change{}, err)
				return
			}
			rest := c.Reader
			if rest != nil {
				content.Reset()
				rest = io.TeeReader(rest, content)
				c.Reader = rest
			}
			if !yield(c, nil) {
				return
			}
			if rest != nil {
				if _, err := io.Copy(io.Discard, rest); err != nil {
					yield(Change{}, fmt.Errorf("read %s: %w", c.Path, err))
					return
				}
				content.Sum(c.Content[:0])
			}
			list = append(list, c.Entry)
		}
		index, err := sortEntries(list)
		if err == nil {
			err = done(index)
		}
		if err != nil {
			yield(Change{}, err)
		}
	}
}

// sortEntries makes an Index of entries that are in the order of a tar.
func sortEntries(list []Entry) (Index, error) {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := Compare(list[i].Path, list[j].Path); c != 0 {
			return c
		}
		if c := list[i].Type.rank() - list[j].Type.rank(); c != 0 {
			return c
		}
		return i - j
	})
	kept, err := settle(list, order)
	if err != nil {
		return nil, err
	}
	if err := settleLinks(list, order, kept); err != nil {
		return nil, err
	}
	if len(kept) == len(list) && slices.IsSorted(kept) {
		return list, nil // as most tars are: no need for a copy
	}
	index := make(Index, len(kept))
	for i, at := range kept {
		index[i] = list[at]
	}
	return index, nil
}

// settle returns those of order, which are positions in list sorted by path,
// that are left when all of list has been applied: of each path the last, and
// nothing that was below a directory before something else took its place.
func settle(list []Entry, order []int) ([]int, error) {
	var covers []cover // each below the one before
	kept := make([]int, 0, len(order))
	for len(order) > 0 {
		path := list[order[0]].Path
		n := slices.IndexFunc(order, func(at int) bool { return list[at].Path != path })
		if n < 0 {
			n = len(order)
		}
		group := order[:n]
		order = order[n:]

		for len(covers) > 0 && !isBelow(path, covers[len(covers)-1].path) {
			covers = covers[:len(covers)-1]
		}
		top := cover{at: -1}
		if len(covers) > 0 {
			top = covers[len(covers)-1]
		}
		left, own, err := settlePath(list, group, top)
		if err != nil {
			return nil, err
		}
		kept = append(kept, left...)
		if own.at >= 0 {
			covers = append(covers, own)
		}
	}
	return kept, nil
}

// cover is a path that was not a directory at some position: what had been
// below it until then is gone.
type cover struct {
	path string
	at   int  // the last such position of the path or one above it; -1 is none
	file bool // it is not a directory in the end either
}

// settlePath returns which entries of one path are left, and what the path
// does to those below it.
func settlePath(list []Entry, group []int, top cover) (left []int, own cover, err error) {
	file := -1
	for i, at := range group {
		e := &list[at]
		if e.Type.rank() == Regular.rank() && e.Type != Dir {
			file = at
		}
		if i+1 < len(group) && list[group[i+1]].Type.rank() == e.Type.rank() {
			continue // a later one of the kind takes its place
		}
		if at < top.at || top.file && e.Type.rank() != Regular.rank() {
			continue // a file has nothing below it to be hidden
		}
		if top.file {
			return nil, own, fmt.Errorf("read %s: %s is not a directory", e.Path, top.path)
		}
		left = append(left, at)
		own = cover{path: e.Path, at: file, file: e.Type != Dir}
	}
	if file < 0 || len(left) == 0 {
		return left, cover{at: -1}, nil
	}
	own.at = max(file, top.at)
	return left, own, nil
}

// settleLinks lets every hard link whose target is in the layer point to the
// entry that has the content, and refuses those whose target was replaced
// after the link was made: nothing has that content any more.
func settleLinks(list []Entry, order, kept []int) error {
	for _, at := range kept {
		link := &list[at]
		if link.Type != Link {
			continue
		}
		for from := at; list[from].Type == Link; {
			target, left := findEntry(list, kept, list[from].Linkname)
			_, was := findEntry(list, order, list[from].Linkname)
			if !was { // a layer below has it
				link.Linkname = list[from].Linkname
				break
			}
			if !left || target > from {
				return fmt.Errorf("read %s: hard link to %s, which a later entry replaces", link.Path, list[from].Linkname)
			}
			if list[target].Type == Dir {
				return fmt.Errorf("read %s: hard link to the directory %s", link.Path, link.Linkname)
			}
			link.Linkname = list[target].Path
			from = target
		}
	}
	return nil
}

// findEntry finds an entry of path, no marker, among sorted positions.
func findEntry(list []Entry, sorted []int, path string) (at int, ok bool) {
	i, ok := slices.BinarySearchFunc(sorted, path, func(at int, path string) int {
		if c := Compare(list[at].Path, path); c != 0 {
			return c
		}
		return list[at].Type.rank() - Regular.rank()
	})
	if !ok {
		return 0, false
	}
	return sorted[i], true
}

// isBelow reports whether path is in the directory dir, at any depth.
func isBelow(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}
