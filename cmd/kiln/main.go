// Command kiln builds container images from Dockerfiles.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/kiln-build/kiln/internal/cli"
	"github.com/kiln-build/kiln/internal/rootfs/inplace"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/userns"
)

// memoryLimit is where the garbage collector starts to work harder, in bytes.
// kiln promises to need less than 100 MiB whatever it builds; by default the
// collector lets the heap grow to twice what is in use, which is more than a
// container with a small limit has to give.
const memoryLimit = 80 << 20

func main() {
	os.Exit(run())
}

func run() int {
	// kiln starts itself again under other names: as PID 1 of each RUN, and in
	// the user namespace of an ordinary user.
	if code, ok := namespaces.Main(os.Args); ok {
		return code
	}
	if err := userns.Stage(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "kiln:", err)
		return cli.ExitFailed
	}
	if os.Getenv("GOMEMLIMIT") == "" { // what the user says counts
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := cli.Interruptible(context.Background())
	defer stop()
	p := cli.Process{
		Args: os.Args, Env: os.Environ(), UID: userns.Outside(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Container: inplace.Container("/", os.Getenv),
	}
	if userns.Needed() {
		p.Enter = userns.Enter
	}
	return cli.Main(ctx, p)
}
