package engines

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/unpack"
)

// host is what matters of where kiln runs, each found out by doing it.
type host struct {
	// userXattr says that overlayfs cannot keep its marks in trusted.overlay.*.
	userXattr bool
	// noDevices says that device nodes cannot be made.
	noDevices bool
	// singleID says that there is only one user id.
	singleID bool
}

func lookAtHost(store Store) (h host, err error) {
	scratch, err := store.Scratch()
	if err != nil {
		return host{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	h.userXattr = errors.Is(unix.Setxattr(scratch, "trusted.overlay.kiln", []byte("y"), 0), unix.EPERM)
	h.noDevices = unix.Mknod(filepath.Join(scratch, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) != nil
	ids, err := user.ParseIDMapFile("/proc/self/uid_map")
	if err != nil {
		return host{}, fmt.Errorf("read uid map: %w", err)
	}
	h.singleID = len(ids) == 1 && ids[0].Count == 1
	return h, nil
}

func (h host) unpackOptions() unpack.Options {
	return unpack.Options{SingleID: h.singleID, SkipDevices: h.noDevices}
}
