package inroot

import (
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxLinks is how many symbolic links one name may lead over, as in Linux.
	maxLinks = 40
	// maxTries bounds how often a lookup starts again because something was
	// renamed meanwhile; who does that on purpose gets an error.
	maxTries = 128
	maxPath  = 4096
)

// resolve opens name, which may end in a symbolic link, with the flags of
// open(2).
func (r *Root) resolve(name string, flags int) (int, error) {
	name = strings.Trim(name, "/")
	if name == "" {
		name = "."
	}
	if len(name) >= maxPath {
		return -1, unix.ENAMETOOLONG
	}
	flags |= unix.O_CLOEXEC
	if !r.old {
		fd, err := r.kernelResolve(name, flags)
		// A seccomp profile that does not know the call answers EPERM.
		if err != unix.ENOSYS && err != unix.EPERM {
			return fd, err
		}
	}
	return r.walk(name, flags)
}

// kernelResolve leaves all of it to the kernel, Linux 5.6 or later.
func (r *Root) kernelResolve(name string, flags int) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if r.strict {
		how.Resolve |= unix.RESOLVE_NO_SYMLINKS
	}
	for range maxTries {
		fd, err = unix.Openat2(r.dir.fd(), name, &how)
		if err != unix.EINTR && err != unix.EAGAIN && err != unix.EXDEV {
			return fd, err
		}
	}
	return fd, err
}

// walk does the same step by step. It keeps the directories it has gone
// through open and goes back through them at "..", so that nothing that is
// moved meanwhile leads it out of the root.
func (r *Root) walk(name string, flags int) (int, error) {
	w := walker{dirs: []int{r.dir.fd()}}
	defer w.close()
	for rest := name; ; {
		element, after, more := strings.Cut(rest, "/")
		switch element {
		case "", ".":
			element = "."
		case "..":
			w.up()
			element = "."
		}
		if !more {
			target, err := w.readlink(element)
			if err != nil {
				return unix.Openat(w.top(), element, flags|unix.O_NOFOLLOW, 0)
			}
			if rest, err = w.follow(target, "", r.strict); err != nil {
				return -1, err
			}
			continue
		}
		rest = after
		target, err := w.down(element)
		if err != nil {
			return -1, err
		}
		if target == "" {
			continue
		}
		if rest, err = w.follow(target, after, r.strict); err != nil {
			return -1, err
		}
	}
}

// walker is how far a walk has come.
type walker struct {
	dirs  []int // the root, and what is open below it
	links int   // followed so far
}

func (w *walker) top() int { return w.dirs[len(w.dirs)-1] }

func (w *walker) up() {
	if len(w.dirs) > 1 {
		_ = unix.Close(w.top()) // nothing was written
		w.dirs = w.dirs[:len(w.dirs)-1]
	}
}

func (w *walker) close() {
	for len(w.dirs) > 1 {
		w.up()
	}
}

// down enters the directory element, or returns the target if it is a link.
func (w *walker) down(element string) (target string, err error) {
	if element == "." {
		return "", nil
	}
	fd, err := unix.Openat(w.top(), element, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		w.dirs = append(w.dirs, fd)
		return "", nil
	}
	if target, linkErr := w.readlink(element); linkErr == nil {
		return target, nil
	}
	return "", err
}

func (w *walker) readlink(element string) (string, error) {
	return readlinkat(w.top(), element)
}

// follow returns what is left to resolve after a link was found before rest.
func (w *walker) follow(target, rest string, strict bool) (string, error) {
	if w.links++; strict || w.links > maxLinks {
		return "", unix.ELOOP
	}
	if strings.HasPrefix(target, "/") {
		w.close()
	}
	if rest != "" {
		target += "/" + rest
	}
	return target, nil
}

func readlinkat(dir int, name string) (string, error) {
	buffer := make([]byte, maxPath)
	n, err := retry(func() (int, error) { return unix.Readlinkat(dir, name, buffer) })
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}

// retry repeats a system call that a signal has interrupted.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err != unix.EINTR {
			return v, err
		}
	}
}
