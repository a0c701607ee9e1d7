package namespaces

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/mnt"
)

type device struct {
	name         string
	major, minor uint32
}

// devices are those of docker (oci/defaults.go of moby, specconv of runc).
func devices() []device {
	return []device{
		{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
	}
}

// mountDev mounts a /dev as docker has it.
func (s *setup) mountDev() error {
	dev, err := s.makePlace("/dev", true)
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_STRICTATIME, "mode=755,size=65536k"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, d := range devices() {
		if err := s.makeDevice(dev+"/"+d.name, d); err != nil {
			return fmt.Errorf("make /dev/%s: %w", d.name, err)
		}
	}
	if err := linkDev(dev); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	return s.mountBelowDev(dev)
}

// makeDevice makes a device node, or binds the one outside where that is
// refused: in a user namespace it always is.
func (s *setup) makeDevice(path string, d device) error {
	err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor)))
	if err == nil && canOpen(path) {
		return nil
	}
	if err == nil { // made, but of no use: the file system is mounted nodev
		err = os.Remove(path)
	}
	if err != nil && !isRefused(err) {
		return err
	}
	if err := makePart(path, false); err != nil {
		return err
	}
	return mnt.Bind("dev/"+d.name, path, false)
}

func canOpen(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		// /dev/tty without a terminal is in order.
		return errors.Is(err, unix.ENXIO)
	}
	_ = unix.Close(fd)
	return true
}

func linkDev(dev string) error {
	links := []struct{ name, target string }{
		{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"}, {"ptmx", "pts/ptmx"},
	}
	for _, link := range links {
		if err := os.Symlink(link.target, dev+"/"+link.name); err != nil {
			return err
		}
	}
	for _, dir := range []string{"pts", "shm", "mqueue"} {
		if err := os.Mkdir(dev+"/"+dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) mountBelowDev(dev string) error {
	if err := mountPts(dev + "/pts"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	if err := unix.Mount("shm", dev+"/shm", "tmpfs", safe, "mode=1777,size=65536k"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	if err := unix.Mount("mqueue", dev+"/mqueue", "mqueue", safe, ""); err != nil {
		s.note("no /dev/mqueue: %v", err) // a kernel without it, or one that refuses
	}
	return nil
}

// mountPts mounts pseudo-terminals of their own. They belong to group 5, tty in
// every distribution, unless only one id is mapped.
func mountPts(path string) error {
	const options = "newinstance,ptmxmode=0666,mode=0620"
	err := unix.Mount("devpts", path, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, options+",gid=5")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("devpts", path, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, options)
	}
	return err
}
