package layer

import (
	"errors"
	"strings"
)

// maxLinks is how many symbolic links are followed for one name, as in Linux.
const maxLinks = 40

// links are the symbolic links that a tar has made so far, by path.
type links map[string]string

// note takes in what an entry does to its path.
func (l links) note(e Entry) {
	if e.Type == Symlink {
		l[e.Path] = e.Linkname
	} else if len(l) > 0 {
		delete(l, e.Path)
	}
}

// resolve returns where name is once all links above its last element are
// followed, inside the root: absolute targets start there and ".." ends there.
func (l links) resolve(name string) (string, error) {
	if !l.concern(name) {
		return name, nil
	}
	var done string // resolved, "" for the root
	followed := 0
	for rest := name; ; {
		element, after, more := strings.Cut(rest, "/")
		switch {
		case element == "" || element == ".":
		case element == "..":
			done = parentOrRoot(done)
		default:
			next := join(done, element)
			target, isLink := l[next]
			if !more || !isLink {
				done = next
				break
			}
			if followed++; followed > maxLinks {
				return "", errors.New("too many levels of symbolic links")
			}
			if strings.HasPrefix(target, "/") {
				done = ""
			}
			after = target + "/" + after
		}
		if !more {
			break
		}
		rest = after
	}
	if done == "" {
		return ".", nil
	}
	return done, nil
}

// concern reports whether a directory of name is a link: hardly ever.
func (l links) concern(name string) bool {
	if len(l) == 0 {
		return false
	}
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if _, ok := l[name[:i]]; ok {
			return true
		}
	}
	return false
}

func parentOrRoot(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
