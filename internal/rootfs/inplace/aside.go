package inplace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
)

// setAside moves all that is not protected from the directory from into the
// directory to, which is on the same file system: names at the top, so that it
// takes as long for a large tree as for a small one. A directory with something
// protected in it stays; what else is in it is moved one level further down,
// into a directory of the same name.
func setAside(p *protected, from, to string) error {
	return aside{p}.dir(from, to, ".")
}

type aside struct{ *protected }

func (a aside) dir(from, to, rel string) error {
	entries, err := os.ReadDir(filepath.Join(from, rel))
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(rel, e.Name())
		switch {
		case a.covers(path):
			continue
		case a.above[path] && e.IsDir():
			err = a.into(from, to, path)
		default:
			err = move(filepath.Join(from, path), filepath.Join(to, path))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// into moves the content of a directory that has to stay.
func (a aside) into(from, to, path string) error {
	target := filepath.Join(to, path)
	if err := os.Mkdir(target, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Before, because moving what is in it changes the times.
	facts, err := readFacts(filepath.Join(from, path))
	if err != nil {
		return err
	}
	if err := a.dir(from, to, path); err != nil {
		return err
	}
	if err := facts.give(target); err != nil {
		return err
	}
	// What stays is as if it had been made for what is in it.
	empty := facts
	empty.mode, empty.uid, empty.gid = 0o755, 0, 0
	return empty.give(filepath.Join(from, path))
}

// putBack moves all that is in the directory from to where setAside took it
// from. Directories that are there get the content, and the mode, owner and
// times, of their counterparts.
func putBack(p *protected, from, to string) error {
	return back{p}.dir(from, to, ".")
}

type back struct{ *protected }

func (b back) dir(from, to, rel string) error {
	entries, err := os.ReadDir(filepath.Join(from, rel))
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(rel, e.Name())
		source, target := filepath.Join(from, path), filepath.Join(to, path)
		_, err := os.Lstat(target)
		if !b.above[path] || !e.IsDir() || errors.Is(err, fs.ErrNotExist) {
			if err := move(source, target); err != nil {
				return err
			}
			continue
		}
		facts, err := readFacts(source)
		if err != nil {
			return err
		}
		if err := b.dir(from, to, path); err != nil {
			return err
		}
		if err := facts.give(target); err != nil {
			return err
		}
	}
	return nil
}

// move renames a file or a directory. A directory of the container's own image
// cannot be renamed where "/" is an overlay without redirection (EXDEV): there
// it is made anew, and what is in it is moved.
func move(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, unix.EXDEV) {
		return err
	}
	info, statErr := os.Lstat(from)
	if statErr != nil || !info.IsDir() {
		return err
	}
	facts, err := readFacts(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := move(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	if err := facts.give(to); err != nil {
		return err
	}
	return os.Remove(from)
}

// facts is what of a directory is not its content.
type facts struct {
	mode     uint32
	uid, gid int
	times    []unix.Timespec
}

func readFacts(path string) (facts, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return facts{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return facts{
		mode: st.Mode & (layer.ModePerm | layer.ModeSetuid | layer.ModeSetgid | layer.ModeSticky),
		uid:  int(st.Uid), gid: int(st.Gid),
		times: []unix.Timespec{st.Atim, st.Mtim},
	}, nil
}

func (f facts) give(path string) error {
	err := os.Lchown(path, f.uid, f.gid)
	if err == nil {
		err = unix.Chmod(path, f.mode)
	}
	if err == nil {
		err = unix.UtimesNanoAt(unix.AT_FDCWD, path, f.times, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	return nil
}
