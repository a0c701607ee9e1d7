package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// binaryVariable names kiln's binary where it was built already: who runs
	// the tests as an ordinary user has a compiler's cache, and that user has not.
	binaryVariable = "KILN_TEST_BINARY"
	// jobsVariable asks for the tests that take long or need the internet.
	jobsVariable = "KILN_JOBS"
)

// TestMain builds kiln as make build does, once for all tests.
func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	// What loses its parent becomes a child of this process, where
	// [checkNothingLeft] finds it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "become a subreaper:", err)
		return 1
	}
	if os.Getenv(binaryVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "kiln-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) // a binary in the temporary directory does no harm
	binary := filepath.Join(dir, "kiln")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "../../cmd/kiln")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build kiln:", err)
		return 1
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// requireJobs skips what only make jobs runs.
func requireJobs(t *testing.T) {
	t.Helper()
	if os.Getenv(jobsVariable) == "" {
		t.Skip("takes minutes, and gigabytes or the internet: run it with make jobs")
	}
}
