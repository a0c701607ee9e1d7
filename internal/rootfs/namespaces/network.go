package namespaces

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// startLoopback brings "lo" up in a network namespace of its own; the kernel
// gives it 127.0.0.1 and ::1 then.
func (s *setup) startLoopback() (err error) {
	if !s.NetworkIsolated {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start loopback interface: %w", err)
		}
	}()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
