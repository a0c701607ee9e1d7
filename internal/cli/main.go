package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/kiln-build/kiln/internal/build"
)

// The exit statuses. Those of 125 and above are not used for faults, because
// programs that start others use them for their own.
const (
	// ExitOK: the image was made and is where it should be.
	ExitOK = 0
	// ExitFailed: the build failed.
	ExitFailed = 1
	// ExitUsage: the command line is wrong; nothing was done.
	ExitUsage = 2
	// ExitInterrupted: a signal ended the build.
	ExitInterrupted = 130
)

// Process is what the operating system gives a program. Programs of this
// package read nothing else of their surroundings but files.
type Process struct {
	// Args is the command line; Args[0] decides which program it is.
	Args []string
	// Stdin is read for "-f -"; Stdout takes results, Stderr all else.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Env holds KEY=value pairs.
	Env []string
	// UID is the user who started the program, as the system's own user
	// namespace knows them.
	UID int
	// Enter runs this program again where it has the rights that engines need,
	// and returns its exit status; nil where it has them already. An error
	// means that there is no such place.
	Enter func() (status int, err error)
	// Container is what shows that this is a container, "" if nothing does.
	Container string
}

// Builder builds an image. It is build.Build.
type Builder func(context.Context, build.Options) (build.Result, error)

// Main is the program that p.Args[0] names. It returns the exit status.
func Main(ctx context.Context, p Process) int {
	return program(p.Args[0])(ctx, p)
}

// program returns the program of a name. Names that are not known, such as that
// of a renamed binary, are kiln.
func program(name string) func(context.Context, Process) int {
	switch filepath.Base(name) {
	default:
		return kiln
	}
}

// kiln is the program of its own name.
func kiln(ctx context.Context, p Process) int {
	return runKiln(ctx, p, build.Build)
}

func runKiln(ctx context.Context, p Process, b Builder) int {
	root := newRootCommand(p, b)
	root.SetArgs(p.Args[1:])
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	return report(ctx, p.Stderr, root.ExecuteContext(ctx))
}

// lookup returns the value of an environment variable, as os.LookupEnv.
func (p Process) lookup(key string) (string, bool) {
	for _, entry := range p.Env {
		if k, v, _ := strings.Cut(entry, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// getenv returns the value of an environment variable, "" if it is not set.
func (p Process) getenv(key string) string {
	v, _ := p.lookup(key)
	return v
}

// terminal returns the file that stream is, if it is a terminal, else nil.
func terminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
