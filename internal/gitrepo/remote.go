package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/memory"
)

// remote is a way to speak with a repository.
type remote interface {
	// list returns the names the repository has and where they lead; an
	// annotated tag is listed twice, as git does, with "^{}" for its commit.
	// The name HEAD stands for is under "HEAD".
	list(ctx context.Context) (map[string]string, error)
	// fetch brings what hash, known as name (which may be ""), needs into s.
	fetch(ctx context.Context, s storage.Storer, name, hash string) error
}

// smart speaks git's protocol.
type smart struct{ address string }

func (r smart) config() *config.RemoteConfig {
	return &config.RemoteConfig{Name: "origin", URLs: []string{r.address}}
}

func (r smart) list(ctx context.Context) (map[string]string, error) {
	refs, err := gogit.NewRemote(memory.NewStorage(), r.config()).ListContext(ctx,
		&gogit.ListOptions{PeelingOption: gogit.AppendPeeled})
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(refs))
	for _, ref := range refs {
		if ref.Type() == plumbing.SymbolicReference {
			names[ref.Name().String()] = ref.Target().String()
		} else {
			names[ref.Name().String()] = ref.Hash().String()
		}
	}
	return names, nil
}

func (r smart) fetch(ctx context.Context, s storage.Storer, name, hash string) error {
	from := gogit.NewRemote(s, r.config())
	options := &gogit.FetchOptions{Depth: 1, Tags: gogit.NoTags, Force: true}
	if name != "" {
		options.RefSpecs = []config.RefSpec{config.RefSpec("+" + name + ":" + name)}
		return from.FetchContext(ctx, options)
	}
	options.RefSpecs = []config.RefSpec{config.RefSpec(hash + ":refs/kiln/commit")}
	err := from.FetchContext(ctx, options)
	if err == nil || ctx.Err() != nil {
		return err
	}
	// Not every server gives a commit that no name leads to directly.
	options = &gogit.FetchOptions{Tags: gogit.AllTags, Force: true, RefSpecs: []config.RefSpec{"+refs/heads/*:refs/heads/*"}}
	if allErr := from.FetchContext(ctx, options); allErr != nil && !errors.Is(allErr, gogit.NoErrAlreadyUpToDate) {
		return errors.Join(err, allErr)
	}
	return nil
}

// target is what a Ref leads to.
type target struct {
	name   string // full, "" for a commit
	hash   string // what the name leads to: a commit or an annotated tag
	commit string // the commit
}

// lookUp finds where r.Name leads, with git's preferences: a full name, a
// branch, a tag.
func lookUp(r Ref, names map[string]string) (target, error) {
	name := r.Name
	if name == "" {
		name = "HEAD"
		if head := names["HEAD"]; strings.HasPrefix(head, "refs/") {
			name = head
		}
	}
	candidates := []string{
		"refs/" + strings.TrimPrefix(name, "refs/"),
		"refs/heads/" + strings.TrimPrefix(name, "refs/heads/"),
		"refs/tags/" + strings.TrimPrefix(name, "refs/tags/"),
	}
	if name == "HEAD" {
		candidates = []string{"HEAD"}
	}
	for _, full := range candidates {
		hash := names[full]
		if hash == "" {
			continue
		}
		t := target{name: full, hash: hash, commit: hash}
		if peeled := names[full+"^{}"]; peeled != "" {
			t.commit = peeled
		}
		if !strings.HasPrefix(t.hash, r.Commit) && !strings.HasPrefix(t.commit, r.Commit) {
			return t, fmt.Errorf("expected checksum to match %s, got %s", r.Commit, t.commit)
		}
		return t, nil
	}
	return target{}, fmt.Errorf("repository does not contain ref %s", name)
}
