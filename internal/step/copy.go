package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/tree"
)

// copying is one COPY or ADD being done.
//
// The rules are those of BuildKit's file operations (solver/llbsolver/file and
// fsutil's copy): each match of each source is copied for itself, one after
// the other, and sees what those before it have put there.
type copying struct {
	*Selection
	draft *draft
	dest  string // as in plan.Copy
	chmod chmod
	owner *owner // nil: everything keeps its own
	made  dirKind
	now   time.Time
}

// into copies the selection into dest.
func (s *Selection) into(ctx context.Context, dest tree.View) (layer.Delta, error) {
	c, err := s.begin(ctx, dest)
	if err != nil {
		return nil, err
	}
	for _, p := range s.picks {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := c.pick(ctx, p); err != nil {
			return nil, err
		}
	}
	c.expect()
	return c.draft.finish(), nil
}

// begin reads the flags.
func (s *Selection) begin(ctx context.Context, dest tree.View) (*copying, error) {
	if s.op.Link && s.op.Chmod == "" {
		// As in BuildKit, --chmod makes an ordinary copy of a linked one.
		dest = tree.Empty()
		if s.op.Chown != "" && byName(s.op.Chown) {
			return nil, fmt.Errorf("--chown=%s: user and group names can't be resolved when used with --link, "+
				"use numeric uid[:gid] instead", s.op.Chown)
		}
	}
	c := &copying{Selection: s, draft: newDraft(dest, s.count+8), dest: s.op.Dest, now: s.copier.now()}
	var err error
	if c.chmod, err = parseChmod(s.op.Chmod); err != nil {
		return nil, err
	}
	if s.op.Chown != "" {
		who, err := lookupOwner(ctx, dest, s.op.Chown)
		if err != nil {
			return nil, err
		}
		c.owner = &who
	}
	c.made = dirKind{mode: c.chmod.made(), owner: c.owner, now: c.now}
	return c, nil
}

// who returns who something of the owner old belongs to in the end.
func (c *copying) who(old owner) owner {
	if c.owner != nil {
		return *c.owner
	}
	return old
}

// pick copies one pick.
func (c *copying) pick(ctx context.Context, p pick) error {
	switch {
	case p.source.Inline != nil:
		return c.inline(p.source.Inline)
	case p.source.URL != "":
		return c.url(ctx, p.source)
	case p.source.Git != "":
		return c.git(ctx, p.source)
	}
	if c.unpacks() && p.root.Type == layer.Regular {
		if done, err := c.unpack(ctx, p); done || err != nil {
			return err
		}
	}
	return named(p.source.Path, c.files(p))
}

// named says which source an error is about, if it does not say so itself.
func named(source string, err error) error {
	var missing *MissingSourceError
	if err == nil || errors.As(err, &missing) {
		return err
	}
	return fmt.Errorf("copy %s: %w", source, err)
}

// files copies a file, or the content of a directory, of the view.
func (c *copying) files(p pick) error {
	target, err := c.target(p.name, p.root.Type == layer.Dir)
	if err != nil {
		return err
	}
	w := &copyWalk{copying: c, from: p.root.Path, to: target, dir: p.root.Type == layer.Dir}
	w.origin = c.draft.addOrigin(viewOrigin{view: c.view, from: w.from, to: w.to})
	return c.walk(p, w.add)
}

// unpacks reports whether archives are unpacked.
func (c *copying) unpacks() bool {
	if c.op.Unpack != nil {
		return *c.op.Unpack
	}
	return c.op.Add
}

// target finds where a source called name is copied to and makes the
// directories that are missing above it; for a directory, whose content is
// copied, also the directory itself.
func (c *copying) target(name string, isDir bool) (string, error) {
	if err := c.mkdirAbove(); err != nil {
		return "", err
	}
	target, err := tree.Resolve(c.draft, tree.Clean(c.dest))
	if err != nil {
		return "", err
	}
	e, exists, err := c.draft.lstat(target)
	if err != nil {
		return "", err
	}
	switch {
	case isDir && !exists:
		return target, c.draft.mkdirAll(target, c.made)
	case !isDir && exists && e.Type == layer.Dir:
		return joinRel(target, name), nil
	}
	return target, c.draft.mkdirAll(layer.Parent(target), c.made)
}

// mkdirAbove makes the directories that the destination names: all of it if it
// ends in a slash.
func (c *copying) mkdirAbove() error {
	dir, base := splitLast(c.dest)
	if base == "" || base == "." {
		dir = c.dest
	}
	resolved, err := tree.Resolve(c.draft, tree.Clean(dir))
	if err != nil {
		return err
	}
	return c.draft.mkdirAll(resolved, c.made)
}

// splitLast cuts path behind its last slash.
func splitLast(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i+1], path[i+1:]
}

// copyWalk copies what a filter yields.
type copyWalk struct {
	*copying
	from, to string // the roots
	dir      bool   // they are directories
	origin   uint32
	links    map[string]int32 // first names of files with several -> where they went
}

// add copies one thing.
func (w *copyWalk) add(p picked) error {
	target := w.to
	if p.rel != "" {
		target = joinRel(w.to, p.rel)
	}
	old, exists, err := w.draft.lstat(target)
	if err != nil {
		return err
	}
	e := w.facts(p.Entry)
	e.Path = target
	switch {
	case p.Type == layer.Dir && exists && old.Type != layer.Dir:
		return fmt.Errorf("cannot copy to non-directory: /%s", target)
	case p.Type != layer.Dir && exists && old.Type == layer.Dir:
		return fmt.Errorf("cannot replace directory /%s with a file", target)
	case p.Type == layer.Dir:
		return w.addDir(p, e, old, exists)
	case p.Type == layer.Regular:
		return w.addFile(p, e)
	}
	_, err = w.draft.put(e, fact{})
	return err
}

// addDir makes a directory, or changes one that exists: the destination itself
// keeps all but its time, those in it become like their source, and a parent of
// something picked takes its source's mode only. (The last is what BuildKit
// does; it has no reason that I know of but that it has always been so.)
func (w *copyWalk) addDir(p picked, e, old layer.Entry, exists bool) error {
	switch {
	case !exists:
		return w.draft.mkdir(e)
	case e.Path == ".":
		return nil // layers do not describe the root
	case p.rel == "":
		old.ModTime = e.ModTime
		e = old
	case p.parent:
		old.Mode = p.Mode
		e = old
	}
	_, err := w.draft.put(e, fact{})
	return err
}

// addFile copies a file, or makes a hard link if another name of it has been
// copied in the same walk.
func (w *copyWalk) addFile(p picked, e layer.Entry) error {
	f := fact{origin: w.origin}
	first := p.Linkname
	if first == "" {
		first = p.Path
	}
	other, linked := w.links[first]
	if !linked && p.Linkname != "" {
		other, linked = w.copiedFirst(first)
	}
	if linked {
		f.group = w.draft.group(other).group
	}
	i, err := w.draft.put(e, f)
	if err == nil && p.Linkname != "" && !linked {
		if w.links == nil {
			w.links = make(map[string]int32)
		}
		w.links[first] = i
	}
	return err
}

// copiedFirst finds the first name of a file with several, if this walk has
// copied it already.
func (w *copyWalk) copiedFirst(first string) (int32, bool) {
	if !w.dir || first != w.from && !isBelow(first, w.from) {
		return 0, false
	}
	i, ok := w.draft.at[rebase(first, w.from, w.to)]
	return i, ok && w.draft.facts[i].origin == w.origin && w.draft.entries[i].Type == layer.Regular
}

// facts returns e with the owner and mode that the copy gets. Of the extended
// attributes only capabilities reach an image: BuildKit's exporter writes no
// others.
func (c *copying) facts(e layer.Entry) layer.Entry {
	who := c.who(owner{e.UID, e.GID})
	e.UID, e.GID = who.uid, who.gid
	e.Mode = c.chmod.apply(e)
	if e.Type != layer.Symlink {
		e.Linkname = ""
	}
	if len(e.Xattrs) > 0 {
		caps, ok := e.Xattrs[capabilities]
		e.Xattrs = nil
		if ok {
			e.Xattrs = map[string]string{capabilities: caps}
		}
	}
	return e
}

// capabilities is the extended attribute that file capabilities are in.
const capabilities = "security.capability"

// inline writes a here-document.
func (c *copying) inline(file *plan.InlineFile) error {
	e := layer.Entry{Type: layer.Regular, Mode: 0o644, Size: int64(len(file.Content)), ModTime: c.now}
	return named("<<"+file.Name, c.file(layer.Base(file.Name), e, bytesOrigin(file.Content), fact{}))
}

// file copies one file that is in no view.
func (c *copying) file(name string, e layer.Entry, o origin, f fact) error {
	target, err := c.target(name, false)
	if err != nil {
		return err
	}
	if old, exists, err := c.draft.lstat(target); err != nil {
		return err
	} else if exists && old.Type == layer.Dir {
		return fmt.Errorf("cannot replace directory /%s with a file", target)
	}
	e = c.facts(e)
	e.Path = target
	f.origin = c.draft.addOrigin(o)
	_, err = c.draft.put(e, f)
	return err
}

// expecter is a view that can be told what is going to be opened.
type expecter interface{ Expect(paths []string) }

// expect tells the view which files the delta will read.
func (c *copying) expect() {
	view, ok := c.view.(expecter)
	if !ok {
		return
	}
	var paths []string
	for i := range c.draft.entries {
		o, ok := c.draft.originOf(i).(viewOrigin)
		if ok && o.view == c.view && c.draft.entries[i].Type == layer.Regular && c.draft.facts[i].flags&removed == 0 {
			paths = append(paths, o.source(c.draft.entries[i].Path))
		}
	}
	view.Expect(paths)
}

// viewOrigin has the contents of what was copied from one root to another.
type viewOrigin struct {
	view     tree.View
	from, to string
}

func (o viewOrigin) source(path string) string { return rebase(path, o.to, o.from) }

func (o viewOrigin) open(ctx context.Context, e layer.Entry, _ fact) (io.ReadCloser, error) {
	source := o.source(e.Path)
	r, err := o.view.Open(ctx, source)
	if err != nil {
		return nil, err
	}
	return &exactReader{ReadCloser: r, path: source, left: e.Size}, nil
}

// rebase moves path from below one root to below another.
func rebase(path, from, to string) string {
	switch {
	case from == to:
		return path
	case path == from:
		return to
	case from == ".":
		return joinRel(to, path)
	}
	return joinRel(to, path[len(from)+1:])
}

// bytesOrigin is content that is in memory.
type bytesOrigin string

func (o bytesOrigin) open(context.Context, layer.Entry, fact) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(o))), nil
}
