// Command kiln builds container images from Dockerfiles.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/kiln-build/kiln/internal/cli"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
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
	// kiln starts itself again, under another name, as PID 1 of each RUN.
	if code, ok := namespaces.Main(os.Args); ok {
		return code
	}
	if os.Getenv("GOMEMLIMIT") == "" { // what the user says counts
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := cli.Interruptible(context.Background())
	defer stop()
	return cli.Main(ctx, cli.Process{
		Args: os.Args, Env: os.Environ(), UID: os.Geteuid(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
