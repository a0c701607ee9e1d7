package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/mnt"
)

// openSources opens what the mounts show while the host's paths can still be
// reached: s.sources holds one for each of Files, then one for each of Mounts,
// nil for a tmpfs.
func (s *setup) openSources() error {
	for _, f := range s.Files {
		source, err := openPath(f.Source)
		if err != nil {
			return err
		}
		s.sources = append(s.sources, source)
	}
	for i, m := range s.Mounts {
		source, err := s.openSource(i, m)
		if err != nil {
			return fmt.Errorf("mount on %s: %w", m.Target, err)
		}
		s.sources = append(s.sources, source)
	}
	return nil
}

func (s *setup) openSource(i int, m rootfs.Mount) (*os.File, error) {
	switch {
	case m.Tmpfs != nil:
		return nil, nil
	case m.File != nil:
		return s.makeFile(i, *m.File)
	case m.Tree == nil:
		return openPath(m.Path)
	}
	dir, err := s.mountScratch(fmt.Sprintf("mount%d", i), *m.Tree)
	if err != nil {
		return nil, err
	}
	path, err := securejoin.SecureJoin(dir, m.Path)
	if err != nil {
		return nil, err
	}
	source, err := openPath(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Clean("/"+m.Path), os.ErrNotExist)
	}
	return source, err
}

func openPath(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH, 0)
}

// mountFiles shows /etc/resolv.conf and its like.
func (s *setup) mountFiles() error {
	for i, f := range s.Files {
		if err := s.bind(s.sources[i], f.Target, false, false); err != nil {
			return fmt.Errorf("mount on %s: %w", f.Target, err)
		}
	}
	return nil
}

// mountSpecified mounts what the process asked for.
func (s *setup) mountSpecified() error {
	for i, m := range s.Mounts {
		var err error
		if m.Tmpfs != nil {
			err = s.mountTmpfs(m)
		} else {
			err = s.bind(s.sources[len(s.Files)+i], m.Target, m.Tree == nil, m.ReadOnly)
		}
		if err != nil {
			return fmt.Errorf("mount on %s: %w", m.Target, err)
		}
	}
	return nil
}

func (s *setup) bind(source *os.File, target string, recursive, readOnly bool) error {
	info, err := source.Stat()
	if err != nil {
		return err
	}
	path, err := s.makePlace(target, info.IsDir())
	if err != nil {
		return err
	}
	if err := mnt.Bind(fmt.Sprintf("/proc/self/fd/%d", source.Fd()), path, recursive); err != nil {
		return err
	}
	if readOnly {
		return mnt.ReadOnly(path)
	}
	return nil
}

func (s *setup) mountTmpfs(m rootfs.Mount) error {
	path, err := s.makePlace(m.Target, true)
	if err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	if m.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("tmpfs", path, "tmpfs", flags, tmpfsOptions(*m.Tmpfs))
}

func tmpfsOptions(t proc.Tmpfs) string {
	options := fmt.Sprintf("mode=%o", t.Mode)
	if t.Size > 0 {
		options += fmt.Sprintf(",size=%d", t.Size)
	}
	return options
}
