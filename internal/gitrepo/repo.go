package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Repo is a remote repository, with the commit that a [Ref] leads to.
type Repo struct {
	ref    Ref
	remote remote
	at     target
}

// Open finds the commit that ref leads to. client is used for HTTP, where git's
// own protocol is not spoken; nil is the default one.
func Open(ctx context.Context, ref Ref, client *http.Client) (*Repo, error) {
	r := &Repo{ref: ref}
	if err := r.open(ctx, client); err != nil {
		return nil, fmt.Errorf("open %s: %w", redact(ref.Remote), err)
	}
	return r, nil
}

func (r *Repo) open(ctx context.Context, client *http.Client) (err error) {
	if r.remote, err = connect(ctx, r.ref.Remote, client); err != nil {
		return err
	}
	if isCommit(r.ref.Name) {
		if !strings.HasPrefix(r.ref.Name, r.ref.Commit) {
			return fmt.Errorf("expected checksum to match %s, got %s", r.ref.Commit, r.ref.Name)
		}
		r.at = target{hash: r.ref.Name, commit: r.ref.Name}
		return nil
	}
	names, err := r.remote.list(ctx)
	if err != nil {
		return err
	}
	r.at, err = lookUp(r.ref, names)
	return err
}

// Commit returns the full name of the commit.
func (r *Repo) Commit() string { return r.at.commit }

// largeObject is from where on contents are not read into memory, and
// objectCache how much of smaller ones is kept there.
const (
	largeObject = 4 << 20
	objectCache = 8 * cache.MiByte
)

// Fetch brings the commit into dir, an empty directory that has to stay while
// the view is used, and shows its files. now is the time they have unless the
// ref asks for the commit's; keepGitDir adds the directory .git.
func (r *Repo) Fetch(ctx context.Context, dir string, keepGitDir bool, now time.Time) (*View, error) {
	v, err := r.fetch(ctx, dir, keepGitDir, now)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", redact(r.ref.Remote), err)
	}
	return v, nil
}

func (r *Repo) fetch(ctx context.Context, dir string, keepGitDir bool, now time.Time) (*View, error) {
	s, commit, err := r.commitIn(ctx, dir)
	if err != nil {
		return nil, err
	}
	l := &lister{ref: r.ref, dir: dir, modTime: now}
	if r.ref.CommitTimes {
		l.modTime = commit.Committer.When
	}
	root, err := commit.Tree()
	if err != nil {
		return nil, err
	}
	if err := l.tree(ctx, s, root, ""); err != nil {
		return nil, err
	}
	// As in BuildKit, a part of a repository has no .git.
	if keepGitDir && r.ref.Subdir == "." {
		if err := keep(s, r, commit); err != nil {
			return nil, err
		}
		if err := l.gitDir(dir); err != nil {
			return nil, err
		}
	}
	return l.view(ctx)
}

// commitIn fetches the commit into a new repository in dir.
func (r *Repo) commitIn(ctx context.Context, dir string) (*filesystem.Storage, *object.Commit, error) {
	if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
		return nil, nil, err
	}
	s := filesystem.NewStorageWithOptions(osfs.New(filepath.Join(dir, ".git")), cache.NewObjectLRU(objectCache),
		filesystem.Options{LargeObjectThreshold: largeObject})
	if err := s.Init(); err != nil {
		return nil, nil, err
	}
	if err := r.remote.fetch(ctx, s, r.at.name, r.at.hash); err != nil {
		return nil, nil, err
	}
	commit, err := peel(s, r.at.hash)
	if err != nil {
		return nil, nil, fmt.Errorf("find %s: %w", r.at.hash, err)
	}
	return s, commit, nil
}

// peel returns the commit that hash is or, if it is an annotated tag, leads to.
func peel(s *filesystem.Storage, hash string) (*object.Commit, error) {
	h := plumbing.NewHash(hash)
	for range 8 { // tags of tags are rare
		commit, err := object.GetCommit(s, h)
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return commit, err
		}
		tag, err := object.GetTag(s, h)
		if err != nil {
			return nil, err
		}
		h = tag.Target
	}
	return nil, errors.New("too many tags of tags")
}
