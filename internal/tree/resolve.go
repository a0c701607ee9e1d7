package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/kiln-build/kiln/internal/layer"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux's
// and containerd's resolution.
const maxLinks = 255

// ErrTooManyLinks is returned for a path whose symbolic links lead in a circle.
var ErrTooManyLinks = errors.New("too many levels of symbolic links")

// Lstater is the part of a [View] that resolving needs.
type Lstater interface {
	Lstat(path string) (layer.Entry, error)
}

// Resolve returns the path that name leads to, with every symbolic link in it
// followed, the last component included. Links are resolved inside the root:
// an absolute target starts there, and ".." stops there. What does not exist
// is kept as it is, so that the result can be created; a name that goes
// through a file fails with an error that wraps "not a directory".
func Resolve(v Lstater, name string) (string, error) {
	return resolve(v, name, true)
}

// ResolveParent is [Resolve], but does not follow the last component.
func ResolveParent(v Lstater, name string) (string, error) {
	return resolve(v, name, false)
}

func resolve(v Lstater, name string, followLast bool) (string, error) {
	r := resolver{view: v, at: ".", rest: name}
	for r.rest != "" {
		part, rest, _ := strings.Cut(r.rest, "/")
		r.rest = strings.TrimLeft(rest, "/")
		if err := r.step(part, followLast || r.rest != ""); err != nil {
			return "", fmt.Errorf("resolve %s: %w", name, err)
		}
	}
	return r.at, nil
}

// resolver walks a path element by element.
type resolver struct {
	view    Lstater
	at      string // where it stands: no symbolic links in it
	rest    string // what is still to go
	links   int
	missing bool // at does not exist
}

func (r *resolver) step(part string, follow bool) error {
	switch part {
	case "", ".":
		return nil
	case "..":
		r.at = layer.Parent(r.at)
		r.missing = false // found out again by the next step
		return nil
	}
	next := join(r.at, part)
	if r.missing {
		r.at = next
		return nil
	}
	e, err := r.view.Lstat(next)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.at, r.missing = next, true
		return nil
	case err != nil:
		return err
	case e.Type == layer.Symlink && follow:
		return r.link(e)
	case e.Type != layer.Dir && e.Type != layer.Symlink && !onlyDots(r.rest):
		return &fs.PathError{Op: "resolve", Path: next, Err: errNotDir}
	}
	r.at = next
	return nil
}

func (r *resolver) link(e layer.Entry) error {
	if r.links++; r.links > maxLinks {
		return ErrTooManyLinks
	}
	target := e.Linkname
	if strings.HasPrefix(target, "/") {
		r.at = "."
		target = strings.TrimLeft(target, "/")
	}
	if r.rest != "" {
		target += "/" + r.rest
	}
	r.rest = target
	return nil
}

// onlyDots reports whether rest stays where it is.
func onlyDots(rest string) bool {
	return strings.Trim(rest, "./") == "" && !strings.Contains(rest, "..")
}

// Clean turns a path as users write it, absolute or not, into one of an entry:
// relative to the root, without "." and "..", the latter stopping at the root.
func Clean(name string) string {
	if name = path.Clean("/" + name); name == "/" {
		return "."
	}
	return name[1:]
}

// join puts an element after a path of an entry.
func join(dir, elem string) string {
	if dir == "." {
		return elem
	}
	return dir + "/" + elem
}
