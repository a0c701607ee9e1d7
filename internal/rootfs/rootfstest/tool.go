package rootfstest

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/userns"
)

// ownFile is another name for the tool: that of the program which executes it.
const ownFile = "/proc/self/exe"

// toolPath is where a process in a test finds the tool.
const toolPath = "/tool"

// Main does what a test binary has to do when it is started by the engine, or
// by a test as /tool, or by an ordinary user, for whom it runs the tests in a
// user namespace. ok is false if it is to run the tests itself.
func Main(args []string) (code int, ok bool) {
	if code, ok := namespaces.Main(args); ok {
		return code, true
	}
	if len(args) > 0 && (args[0] == toolPath || args[0] == ownFile) {
		return report(tool(args[1:])), true
	}
	if err := userns.Stage(args); err != nil {
		return report(err), true
	}
	if !userns.Needed() {
		return 0, false
	}
	code, err := userns.Enter()
	if err != nil {
		return report(err), false // the tests say what they miss
	}
	return code, true
}

func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "rootfstest:", err)
	return 1
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
	case "readonly": // whether path is on a read-only mount
		var fs unix.Statfs_t
		if err := unix.Statfs(path, &fs); err != nil {
			return err
		}
		if fs.Flags&unix.ST_RDONLY == 0 {
			return fmt.Errorf("%s can be written to", path)
		}
		return nil
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}
