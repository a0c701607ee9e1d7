package namespaces

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/mnt"
)

// safe are the flags of mounts that hold no programs and no devices.
const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// mountProc mounts a /proc of the new PID namespace. Where parts of the /proc
// outside are covered, as in a container, the kernel refuses an uncovered one;
// then the one outside is shown as it is.
func (s *setup) mountProc() error {
	path, err := s.makePlace("/proc", true)
	if err != nil {
		return err
	}
	err = unix.Mount("proc", path, "proc", safe, "")
	if err == nil {
		return nil
	}
	if !isRefused(err) {
		return fmt.Errorf("mount /proc: %w", err)
	}
	s.note("a new /proc is refused (%v); the one outside is bound", err)
	if err := mnt.Bind("proc", path, true); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// mountSys mounts a read-only /sys. The kernel ties it to the network
// namespace: in a user namespace that shares the host's network the one
// outside has to do.
func (s *setup) mountSys() error {
	path, err := s.makePlace("/sys", true)
	if err != nil {
		return err
	}
	flags := uintptr(safe)
	if !s.Privileged {
		flags |= unix.MS_RDONLY
	}
	err = unix.Mount("sysfs", path, "sysfs", flags, "")
	if err == nil {
		return s.showCgroups(path)
	}
	if !isRefused(err) {
		return fmt.Errorf("mount /sys: %w", err)
	}
	s.note("a new /sys is refused (%v); the one outside is bound", err)
	if err := mnt.Bind("sys", path, true); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := mnt.ReadOnly(path); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	return nil
}

// showCgroups binds the control groups outside, read-only: programs look there
// for how much memory they may use.
func (s *setup) showCgroups(sys string) error {
	const source = "sys/fs/cgroup"
	if _, err := os.Stat(source); err != nil {
		return nil // a host without them
	}
	target := sys + "/fs/cgroup"
	err := mnt.Bind(source, target, true)
	if errors.Is(err, unix.ENOENT) {
		return nil // a kernel without them
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	if err := mnt.ReadOnly(target); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}
