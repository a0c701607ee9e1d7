package gitrepo

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Ref says which files of which repository are meant.
type Ref struct {
	// Remote is the repository's address, as git takes it.
	Remote string
	// Name is a branch, a tag, a full name ("refs/…") or a commit; "" is the
	// default branch.
	Name string
	// Subdir is a directory in the repository, "." for all of it.
	Subdir string
	// Commit is what the name has to lead to, or the beginning of it; "" for
	// anything.
	Commit string
	// KeepGitDir is whether .git is wanted; nil if nothing is said of it.
	KeepGitDir *bool
	// Submodules is whether submodules are wanted, too.
	Submodules bool
	// CommitTimes gives files the time of the commit, not of the build.
	CommitTimes bool
}

var (
	scpStyle = regexp.MustCompile(`^[a-zA-Z0-9._~-]+@[^:/]+:.+`)
	hexOnly  = regexp.MustCompile(`^[0-9a-fA-F]+$`)
)

// Parse reads BuildKit's notation: an address, and behind "#" a name and a
// directory ("https://host/repo.git#v1:docs"), or the same as a query
// ("?branch=main&subdir=docs").
func Parse(s string) (Ref, error) {
	r := Ref{Subdir: ".", Submodules: true}
	address, fragment, _ := strings.Cut(s, "#")
	address, query, _ := strings.Cut(address, "?")
	if !scpStyle.MatchString(address) {
		u, err := url.Parse(address)
		if err != nil {
			return r, fmt.Errorf("read git address: %w", err)
		}
		switch u.Scheme {
		case "http", "https", "git", "ssh":
		default:
			return r, fmt.Errorf("read git address %s: unknown protocol %q", u.Redacted(), u.Scheme)
		}
	}
	r.Remote = address
	name, subdir, _ := strings.Cut(fragment, ":")
	r.Name = name
	if subdir != "" {
		r.Subdir = cleanDir(subdir)
	}
	if err := r.query(query); err != nil {
		return r, fmt.Errorf("read git address: %w", err)
	}
	if r.Commit != "" && !hexOnly.MatchString(r.Commit) {
		return r, fmt.Errorf("read git address: %q is no commit", r.Commit)
	}
	return r, nil
}

func (r *Ref) query(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	for key, all := range values {
		if len(all) != 1 {
			return fmt.Errorf("query %q has several values", key)
		}
		if err := r.option(key, all[0]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ref) option(key, value string) error {
	switch key {
	case "ref":
		return set(&r.Name, key, value)
	case "tag":
		return set(&r.Name, key, "refs/tags/"+strings.TrimPrefix(value, "refs/tags/"))
	case "branch":
		return set(&r.Name, key, "refs/heads/"+strings.TrimPrefix(value, "refs/heads/"))
	case "subdir":
		r.Subdir = cleanDir(value)
	case "checksum", "commit":
		return set(&r.Commit, key, value)
	case "keep-git-dir":
		keep, err := flag(key, value)
		r.KeepGitDir = &keep
		return err
	case "submodules":
		var err error
		r.Submodules, err = flag(key, value)
		return err
	case "mtime":
		if value != "checkout" && value != "commit" {
			return fmt.Errorf("mtime is %q, not checkout or commit", value)
		}
		r.CommitTimes = value == "commit"
	case "fetch-by-commit":
		by, err := flag(key, value)
		if err == nil && by && r.Name == "" {
			r.Name = r.Commit
		}
		return err
	default:
		return fmt.Errorf("unknown query %q", key)
	}
	return nil
}

func set(field *string, key, value string) error {
	if *field != "" && *field != value {
		return fmt.Errorf("%s says %q, but it is %q already", key, value, *field)
	}
	*field = value
	return nil
}

// flag reads a boolean; a key alone means yes.
func flag(key, value string) (bool, error) {
	if value == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%s is %q, not true or false", key, value)
	}
	return b, nil
}

// isCommit reports whether name is the full name of a commit.
func isCommit(name string) bool { return len(name) == 40 && hexOnly.MatchString(name) }

func cleanDir(dir string) string {
	if dir = path.Clean("/" + dir); dir != "/" {
		return dir[1:]
	}
	return "."
}

// redact returns an address without the password in it.
func redact(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}
