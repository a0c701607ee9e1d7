package namespaces

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/mnt"
)

// maskedPaths and readOnlyPaths are those of docker (moby, oci/defaults.go).
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
}

func readOnlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// maskKernel covers what of /proc and /sys a build has no business with.
func (s *setup) maskKernel() error {
	if s.Privileged {
		return nil
	}
	for _, path := range maskedPaths() {
		if err := maskPath(path); err != nil {
			return fmt.Errorf("mask %s: %w", path, err)
		}
	}
	for _, path := range readOnlyPaths() {
		err := mnt.Bind(path, path, true)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = mnt.ReadOnly(path)
		}
		if err != nil {
			return fmt.Errorf("make %s read-only: %w", path, err)
		}
	}
	return nil
}

func maskPath(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil // not there, or out of reach already
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return unix.Mount("tmpfs", path, "tmpfs", safe|unix.MS_RDONLY, "size=0k")
	}
	return mnt.Bind("/dev/null", path, false)
}
