package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// StrictVariable names the environment variable under which a missing tool
// fails a test instead of skipping it. `make test` sets it, having installed
// everything: there, a skipped test would be a hole.
const StrictVariable = "KILN_TEST_STRICT"

// RequireRoot skips the test unless it runs as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: run it with sudo, or as part of make test")
	}
}

// RequireOrdinaryUser skips the test when it runs as root.
func RequireOrdinaryUser(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("needs an ordinary user: run it with make test-rootless")
	}
}

// RequireTool returns the path of a program, and skips the test where it is not
// installed.
func RequireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "needs the program %s: install it with make setup", name)
	}
	return path
}

// missing ends a test that lacks something make setup would have installed.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(StrictVariable) != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
