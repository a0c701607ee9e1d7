package cli

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// An interrupt ends what runs, exits 130, and leaves neither an output nor a
// process nor a mount.
func TestAnInterruptEndsARealBuild(t *testing.T) {
	for name, signal := range map[string]os.Signal{"SIGINT": os.Interrupt, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Registry(t)
			dir := dirWith(t, "FROM "+testenv.BusyboxBase(t, r)+"\n"+
				"RUN sleep 98765 & echo sleeping; wait\n")
			out := t.TempDir()
			cmd := exec.Command("kiln", "build", "-o", "type=oci,dest="+filepath.Join(out, "image.tar"), dir)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(said)
			waitFor(t, lines, "sleeping")
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(lines)
			if err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != ExitInterrupted {
				t.Errorf("kiln ended with %v, and said\n%s", err, rest)
			}
			if !strings.HasSuffix(string(rest), "kiln: interrupted\n") {
				t.Errorf("kiln said\n%s", rest)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			noProcess(t, "98765")
		})
	}
}

// waitFor reads until a line that holds text.
func waitFor(t *testing.T, lines *bufio.Reader, text string) {
	t.Helper()
	var before strings.Builder
	for {
		line, err := lines.ReadString('\n')
		before.WriteString(line)
		if err != nil {
			t.Fatalf("%v before %q was said:\n%s", err, text, &before)
		}
		if strings.HasSuffix(line, " "+text+"\n") {
			return
		}
	}
}

// noProcess fails if a process has word on its command line.
func noProcess(t *testing.T, word string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		// Processes end while we look.
		if args, err := os.ReadFile(path); err == nil && strings.Contains(string(args), word) {
			t.Errorf("%s is still running: %q", filepath.Dir(path), args)
		}
	}
}
