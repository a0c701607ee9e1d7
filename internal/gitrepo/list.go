package gitrepo

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/kiln-build/kiln/internal/layer"
)

// lister lists what a commit holds.
type lister struct {
	ref     Ref
	dir     string // for submodules
	modTime time.Time
	entries []layer.Entry
	sources map[string]source
	modules int
}

// maxModules bounds how many repositories one address may lead to.
const maxModules = 256

// tree lists a tree, which is at prefix ("" or ending in a slash).
func (l *lister) tree(ctx context.Context, s *filesystem.Storage, t *object.Tree, prefix string) error {
	modules := moduleReader{storage: s, root: t}
	return l.dirOf(ctx, s, t, prefix, prefix, &modules)
}

// dirOf lists one directory of the repository that begins at root.
func (l *lister) dirOf(ctx context.Context, s *filesystem.Storage, t *object.Tree, root, prefix string, modules *moduleReader) error {
	for i := range t.Entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		te := &t.Entries[i]
		if !validName(te.Name) {
			return fmt.Errorf("invalid name %q in %q", te.Name, prefix)
		}
		name := prefix + te.Name
		switch te.Mode {
		case filemode.Dir:
			l.add(layer.Entry{Path: name, Type: layer.Dir, Mode: 0o755}, source{})
			sub, err := object.GetTree(s, te.Hash)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			if err := l.dirOf(ctx, s, sub, root, name+"/", modules); err != nil {
				return err
			}
		case filemode.Submodule:
			l.add(layer.Entry{Path: name, Type: layer.Dir, Mode: 0o755}, source{})
			if err := l.submodule(ctx, modules, name[len(root):], name+"/", te.Hash.String()); err != nil {
				return fmt.Errorf("read submodule %s: %w", name, err)
			}
		default:
			if err := l.blob(s, te, name); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
		}
	}
	return nil
}

// validName reports whether a tree may hold name: trees come from strangers.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.EqualFold(name, ".git") && !strings.ContainsAny(name, "/\x00")
}

func (l *lister) blob(s *filesystem.Storage, te *object.TreeEntry, name string) error {
	blob, err := object.GetBlob(s, te.Hash)
	if err != nil {
		return err
	}
	e := layer.Entry{Path: name, Type: layer.Regular, Mode: 0o644, Size: blob.Size}
	switch te.Mode {
	case filemode.Executable:
		e.Mode = 0o755
	case filemode.Symlink:
		target, err := readBlob(blob)
		if err != nil {
			return err
		}
		e.Type, e.Mode, e.Size, e.Linkname = layer.Symlink, 0o777, 0, string(target)
	}
	l.add(e, source{storage: s, hash: te.Hash})
	return nil
}

// readBlob reads a small blob.
func readBlob(blob *object.Blob) ([]byte, error) {
	r, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 1<<20))
}

func (l *lister) add(e layer.Entry, from source) {
	if e.ModTime.IsZero() {
		e.ModTime = l.modTime
	}
	if l.sources == nil {
		l.sources = make(map[string]source)
	}
	l.entries = append(l.entries, e)
	if e.Type == layer.Regular {
		l.sources[e.Path] = from
	}
}

// moduleReader reads .gitmodules, if somebody asks.
type moduleReader struct {
	storage *filesystem.Storage
	root    *object.Tree
	modules *config.Modules
}

// url returns where the submodule at path comes from, "" if nothing says so.
func (m *moduleReader) url(path string) (string, error) {
	if m.modules == nil {
		m.modules = config.NewModules()
		if err := m.read(); err != nil {
			return "", fmt.Errorf("read .gitmodules: %w", err)
		}
	}
	for _, module := range m.modules.Submodules {
		if module.Path == path {
			return module.URL, nil
		}
	}
	return "", nil
}

func (m *moduleReader) read() error {
	te, err := m.root.FindEntry(".gitmodules")
	if err != nil {
		return nil // there is none
	}
	blob, err := object.GetBlob(m.storage, te.Hash)
	if err != nil {
		return err
	}
	content, err := readBlob(blob)
	if err != nil {
		return err
	}
	return m.modules.Unmarshal(content)
}

// submodule lists another repository at prefix.
func (l *lister) submodule(ctx context.Context, modules *moduleReader, path, prefix, commit string) error {
	if !l.ref.Submodules {
		return nil
	}
	address, err := modules.url(path)
	if err != nil || address == "" {
		return err
	}
	if l.modules++; l.modules > maxModules {
		return fmt.Errorf("more than %d submodules", maxModules)
	}
	ref, err := Parse(relativeTo(l.ref.Remote, address))
	if err != nil {
		return err
	}
	ref.Name, ref.CommitTimes = commit, l.ref.CommitTimes
	repo, err := Open(ctx, ref, nil)
	if err != nil {
		return err
	}
	s, found, err := repo.commitIn(ctx, filepath.Join(l.dir, ".modules", fmt.Sprint(l.modules)))
	if err != nil {
		return err
	}
	root, err := found.Tree()
	if err != nil {
		return err
	}
	outer := l.ref
	l.ref = ref
	defer func() { l.ref = outer }()
	return l.tree(ctx, s, root, prefix)
}

// relativeTo resolves the address of a submodule, which may be relative to that
// of the repository it is in.
func relativeTo(remote, address string) string {
	if !strings.HasPrefix(address, "./") && !strings.HasPrefix(address, "../") {
		return address
	}
	if scpStyle.MatchString(remote) {
		host, dir, _ := strings.Cut(remote, ":")
		return host + ":" + path.Join(dir, address)
	}
	u, err := url.Parse(remote)
	if err != nil {
		return address
	}
	u.Path = path.Join(u.Path, address)
	return u.String()
}

// gitDir lists the directory .git in dir.
func (l *lister) gitDir(dir string) error {
	return filepath.WalkDir(filepath.Join(dir, ".git"), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			l.add(layer.Entry{Path: name, Type: layer.Dir, Mode: 0o755}, source{})
		case info.Mode().IsRegular():
			e := layer.Entry{Path: name, Type: layer.Regular, Mode: 0o644, Size: info.Size()}
			l.add(e, source{file: file})
		}
		return nil
	})
}

// view shows the part of what was listed that the ref asks for.
func (l *lister) view(ctx context.Context) (*View, error) {
	slices.SortFunc(l.entries, func(a, b layer.Entry) int { return layer.Compare(a.Path, b.Path) })
	if l.ref.Subdir == "." {
		return newView(ctx, l.entries, l.sources)
	}
	var inside []layer.Entry
	sources := make(map[string]source)
	found := false
	for _, e := range l.entries {
		if e.Path == l.ref.Subdir {
			found = e.Type == layer.Dir
		}
		rest, ok := strings.CutPrefix(e.Path, l.ref.Subdir+"/")
		if !ok {
			continue
		}
		if from, ok := l.sources[e.Path]; ok {
			sources[rest] = from
		}
		e.Path = rest
		inside = append(inside, e)
	}
	if !found {
		return nil, &fs.PathError{Op: "open", Path: l.ref.Subdir, Err: os.ErrNotExist}
	}
	return newView(ctx, inside, sources)
}
