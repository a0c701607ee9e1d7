package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/userns"
	"github.com/kiln-build/kiln/internal/testenv"
)

// TestMain makes the test binary the program itself when a script calls it.
func TestMain(m *testing.M) {
	if code, ok := namespaces.Main(os.Args); ok {
		os.Exit(code)
	}
	if err := userns.Stage(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(ExitFailed)
	}
	testscript.Main(m, map[string]func(){
		"kiln": func() { os.Exit(mainOfTest()) },
	})
}

// mainOfTest is what main of cmd/kiln does, for a user whose id is not 0: then
// kiln's folder is below HOME, where tests want it.
func mainOfTest() int {
	ctx, stop := Interruptible(context.Background())
	defer stop()
	p := Process{
		Args: os.Args, Env: os.Environ(), UID: 1000,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if userns.Needed() {
		p.Enter = userns.Enter
	}
	return Main(ctx, p)
}

// TestScripts runs the scripts that build nothing: what a user types and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script", nil))
}

// TestBuilds runs the scripts that build images. They find a registry at
// $REGISTRY, and an image with a shell in it at $BASE and $BUSYBOX.
func TestBuilds(t *testing.T) {
	r := testenv.Registry(t)
	base := testenv.BusyboxBase(t, r)
	testscript.Run(t, params("testdata/build", map[string]string{
		"REGISTRY": r.Addr, "BASE": base, "BUSYBOX": base,
	}))
}

func params(dir string, env map[string]string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			for key, value := range env {
				e.Setenv(key, value)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status,
		},
	}
}

// status runs a command and compares its exit status:
//
//	status 2 kiln build
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status number command [arguments]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
