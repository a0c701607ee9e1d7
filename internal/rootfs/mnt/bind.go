package mnt

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Bind shows source at target, with what is mounted below source if recursive.
func Bind(source, target string, recursive bool) error {
	flags := uintptr(unix.MS_BIND)
	if recursive {
		flags |= unix.MS_REC
	}
	if err := unix.Mount(source, target, "", flags, ""); err != nil {
		return fmt.Errorf("bind %s: %w", source, err)
	}
	return nil
}

// ReadOnly makes the mount at target read-only, and those below it where the
// kernel can (Linux 5.12).
func ReadOnly(target string) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &attr)
	if err == nil {
		return nil
	}
	// A filter of system calls may refuse what it does not know.
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("make mount read-only: %w", err)
	}
	return remountReadOnly(target)
}

// remountReadOnly is [ReadOnly] for old kernels. The flags that a mount from
// outside a user namespace came with are locked and have to be repeated.
func remountReadOnly(target string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(target, &fs); err != nil {
		return fmt.Errorf("read mount flags: %w", err)
	}
	const lockable = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	flags := uintptr(unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY) | uintptr(fs.Flags)&lockable
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("remount read-only: %w", err)
	}
	return nil
}
