package step

import (
	"context"
	"fmt"
	"os"

	"github.com/kiln-build/kiln/internal/gitrepo"
	"github.com/kiln-build/kiln/internal/plan"
)

// git copies the files of a commit.
func (c *copying) git(ctx context.Context, source plan.Source) error {
	repo, err := c.repo(ctx, source.Git)
	if err != nil {
		return err
	}
	keep, err := c.keepsGitDir(source.Git)
	if err != nil {
		return err
	}
	dir, err := c.copier.newDir()
	if err != nil {
		return err
	}
	view, err := repo.Fetch(ctx, dir, keep, c.now)
	if err != nil {
		return err
	}
	root, err := view.Lstat(".")
	if err != nil {
		return err
	}
	files := *c
	files.Selection = &Selection{copier: c.copier, op: c.op, view: view}
	return files.pick(ctx, pick{source: plan.Source{Path: source.Git}, root: root})
}

// digestGit identifies the commit that a git source leads to.
func (s *Selection) digestGit(ctx context.Context, h *frames, address string) error {
	repo, err := s.repo(ctx, address)
	if err != nil {
		return err
	}
	keep, err := s.keepsGitDir(address)
	if err != nil {
		return err
	}
	h.text("git")
	h.text(address)
	h.text(repo.Commit())
	h.number(bit(keep))
	return nil
}

// repo opens a repository, once: a branch must not move between the key and the
// copy.
func (s *Selection) repo(ctx context.Context, address string) (*gitrepo.Repo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo := s.repos[address]; repo != nil {
		return repo, nil
	}
	ref, err := gitrepo.Parse(address)
	if err != nil {
		return nil, err
	}
	if want := s.op.Checksum; want != "" {
		if ref.Commit != "" && ref.Commit != want {
			return nil, fmt.Errorf("checksum mismatch %q != %q", want, ref.Commit)
		}
		ref.Commit = want
	}
	repo, err := gitrepo.Open(ctx, ref, s.copier.Client)
	if err != nil {
		return nil, err
	}
	if s.repos == nil {
		s.repos = make(map[string]*gitrepo.Repo)
	}
	s.repos[address] = repo
	return repo, nil
}

// keepsGitDir reports whether .git is copied, too: as the address says, or else
// the flag.
func (s *Selection) keepsGitDir(address string) (bool, error) {
	ref, err := gitrepo.Parse(address)
	if err != nil {
		return false, err
	}
	if ref.KeepGitDir != nil {
		return *ref.KeepGitDir, nil
	}
	return s.op.KeepGitDir, nil
}

// newDir makes a directory that lives until Close.
func (c *Copier) newDir() (string, error) {
	scratch, err := c.Scratch()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(scratch, "git-*")
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, closeFunc(func() error { return os.RemoveAll(dir) }))
	return dir, nil
}

// closeFunc is a function as an io.Closer.
type closeFunc func() error

func (f closeFunc) Close() error { return f() }
