package gitrepo

import (
	"github.com/go-git/go-billy/v5/memfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// keep makes the repository in s one that git can be used in: with its origin,
// a HEAD on the commit, and an index that says all files are as committed.
func keep(s *filesystem.Storage, r *Repo, commit *object.Commit) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	cfg.Core.IsBare = false
	cfg.Remotes["origin"] = &config.RemoteConfig{
		Name:  "origin",
		URLs:  []string{redact(r.ref.Remote)},
		Fetch: []config.RefSpec{"+refs/heads/*:refs/remotes/origin/*"},
	}
	if err := s.SetConfig(cfg); err != nil {
		return err
	}
	if err := s.SetReference(plumbing.NewHashReference(plumbing.HEAD, commit.Hash)); err != nil {
		return err
	}
	repo, err := gogit.Open(s, memfs.New())
	if err != nil {
		return err
	}
	w, err := repo.Worktree()
	if err != nil {
		return err
	}
	return w.Reset(&gogit.ResetOptions{Commit: commit.Hash, Mode: gogit.MixedReset})
}
