package namespaces

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ownFile is the running program's file.
const ownFile = "/proc/self/exe"

// program is what PID 1 executes: the running program, by way of a read-only
// mount that nobody else sees.
//
// A process in a root filesystem that executes /proc/self/exe when it has not
// become another program yet gets hold of kiln's own file. As user 0 of the host
// it could write to it once nobody executes it any more (CVE-2019-5736), but
// not through a read-only mount.
type program struct {
	// mounted is nil where that cannot be done (before Linux 5.12).
	mounted *os.File
}

func openProgram() *program {
	if mounted, err := mountProgram(ownFile); err == nil {
		return &program{mounted: mounted}
	}
	// A program that was executed in another mount namespace, such as the one
	// outside of a user namespace, is not to be had from there.
	path, err := os.Readlink(ownFile)
	if err != nil || !isOwnFile(path) {
		return &program{}
	}
	mounted, err := mountProgram(path)
	if err != nil {
		return &program{}
	}
	return &program{mounted: mounted}
}

// mountProgram returns path on a read-only mount of its own.
func mountProgram(path string) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

func isOwnFile(path string) bool {
	own, err := os.Stat(ownFile)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(own, info)
}

// path returns the path to execute.
func (p *program) path() string {
	if p.mounted == nil {
		return ownFile
	}
	return fmt.Sprintf("/proc/self/fd/%d", p.mounted.Fd())
}
