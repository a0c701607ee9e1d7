package rootfstest

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
)

// toolPath is where a process in a test finds the tool.
const toolPath = "/tool"

// Main does what a test binary has to do when it is started by the engine, or
// by a test as /tool. ok is false if it was started to run tests.
func Main(args []string) (code int, ok bool) {
	if code, ok := namespaces.Main(args); ok {
		return code, true
	}
	if len(args) == 0 || args[0] != toolPath {
		return 0, false
	}
	if err := tool(args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tool:", err)
		return 1, true
	}
	return 0, true
}

// tool does what busybox cannot.
func tool(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: tool COMMAND PATH...")
	}
	path := args[1]
	switch command := args[0]; command {
	case "setxattr":
		return unix.Lsetxattr(path, args[2], []byte(args[3]), 0)
	case "setcap": // cap_net_bind_service=ep, as setcap(8) writes it
		return unix.Setxattr(path, "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0)
	case "socket":
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return l.Close()
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}
