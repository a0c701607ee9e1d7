package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage"
)

// connect finds out how the repository at address is to be spoken with: over
// HTTP it may be nothing but files, made with git update-server-info.
func connect(ctx context.Context, address string, client *http.Client) (remote, error) {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return smart{address}, nil
	}
	if client == nil {
		client = http.DefaultClient
	}
	d := dumb{address: strings.TrimSuffix(address, "/"), client: client}
	resp, err := d.get(ctx, "info/refs?service=git-upload-pack")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "application/x-git-upload-pack-advertisement" {
		return smart{address}, nil
	}
	return d, nil
}

// dumb reads a repository that is served as plain files.
type dumb struct {
	address string
	client  *http.Client
}

func (r dumb) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(&statusError{resp.StatusCode, resp.Status}, resp.Body.Close())
	}
	return resp, nil
}

// statusError is an answer other than 200.
type statusError struct {
	code   int
	status string
}

func (e *statusError) Error() string { return "server answers " + e.status }

// lines reads a small text file.
func (r dumb) lines(ctx context.Context, path string) ([]string, error) {
	resp, err := r.get(ctx, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var lines []string
	scanner := bufio.NewScanner(io.LimitReader(resp.Body, 64<<20))
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}

func (r dumb) list(ctx context.Context) (map[string]string, error) {
	lines, err := r.lines(ctx, "info/refs")
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(lines))
	for _, line := range lines {
		if hash, name, ok := strings.Cut(line, "\t"); ok && isCommit(hash) {
			names[name] = hash
		}
	}
	head, err := r.lines(ctx, "HEAD")
	if err != nil || len(head) == 0 {
		return names, err
	}
	names["HEAD"] = strings.TrimSpace(strings.TrimPrefix(head[0], "ref:"))
	return names, nil
}

func (r dumb) fetch(ctx context.Context, s storage.Storer, name, hash string) error {
	f := &dumbFetch{dumb: r, storage: s}
	if err := f.all(ctx, plumbing.NewHash(hash)); err != nil {
		return err
	}
	if strings.HasPrefix(name, "refs/") {
		return s.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), plumbing.NewHash(hash)))
	}
	return nil
}

// dumbFetch brings objects over one by one, and packs as a whole once an object
// is not there by itself.
type dumbFetch struct {
	dumb
	storage storage.Storer
	packed  bool // all packs are here
}

// all brings a commit or tag and what its files need; not its parents.
func (f *dumbFetch) all(ctx context.Context, hash plumbing.Hash) error {
	if err := f.bring(ctx, hash); err != nil {
		return err
	}
	o, err := f.storage.EncodedObject(plumbing.AnyObject, hash)
	if err != nil {
		return err
	}
	switch o.Type() {
	case plumbing.TagObject:
		tag, err := object.DecodeTag(f.storage, o)
		if err != nil {
			return err
		}
		return f.all(ctx, tag.Target)
	case plumbing.CommitObject:
		commit, err := object.DecodeCommit(f.storage, o)
		if err != nil {
			return err
		}
		if err := f.storage.SetShallow([]plumbing.Hash{hash}); err != nil {
			return err
		}
		return f.all(ctx, commit.TreeHash)
	case plumbing.TreeObject:
		return f.tree(ctx, o)
	}
	return nil
}

func (f *dumbFetch) tree(ctx context.Context, o plumbing.EncodedObject) error {
	t, err := object.DecodeTree(f.storage, o)
	if err != nil {
		return err
	}
	for _, e := range t.Entries {
		switch e.Mode {
		case filemode.Submodule:
			continue
		case filemode.Dir:
			err = f.all(ctx, e.Hash)
		default:
			err = f.bring(ctx, e.Hash)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bring makes sure that an object is in the storage.
func (f *dumbFetch) bring(ctx context.Context, hash plumbing.Hash) error {
	if f.storage.HasEncodedObject(hash) == nil {
		return nil
	}
	err := f.loose(ctx, hash)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound && !f.packed {
		if err = f.packs(ctx); err == nil {
			err = f.storage.HasEncodedObject(hash)
		}
	}
	if err != nil {
		return fmt.Errorf("get object %s: %w", hash, err)
	}
	return nil
}

// loose brings an object that is a file of its own.
func (f *dumbFetch) loose(ctx context.Context, hash plumbing.Hash) (err error) {
	name := hash.String()
	resp, err := f.get(ctx, "objects/"+name[:2]+"/"+name[2:])
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r, err := objfile.NewReader(resp.Body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	kind, size, err := r.Header()
	if err != nil {
		return err
	}
	o := f.storage.NewEncodedObject()
	o.SetType(kind)
	o.SetSize(size)
	w, err := o.Writer()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	if got := r.Hash(); got != hash {
		return fmt.Errorf("content has the name %s", got)
	}
	_, err = f.storage.SetEncodedObject(o)
	return err
}

// packs brings all packs.
func (f *dumbFetch) packs(ctx context.Context) error {
	f.packed = true
	lines, err := f.lines(ctx, "objects/info/packs")
	if err != nil {
		return err
	}
	for _, line := range lines {
		name, ok := strings.CutPrefix(line, "P ")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		if err := f.pack(ctx, name); err != nil {
			return fmt.Errorf("get %s: %w", name, err)
		}
	}
	return nil
}

func (f *dumbFetch) pack(ctx context.Context, name string) error {
	resp, err := f.get(ctx, "objects/pack/"+name)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return packfile.UpdateObjectStorage(f.storage, resp.Body)
}
