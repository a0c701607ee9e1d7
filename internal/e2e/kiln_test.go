package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/testenv"
)

// A builder runs kiln with one folder of its own.
type builder struct {
	t        *testing.T
	root     string // kiln's --root
	registry *testenv.RegistryServer
}

// newBuilder returns a builder with an empty folder, which is removed when the
// test ends.
func newBuilder(t *testing.T, r *testenv.RegistryServer) *builder {
	t.Helper()
	root, err := os.MkdirTemp("", "kiln-root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, root) })
	return &builder{t: t, root: root, registry: r}
}

// removeAll removes a directory with files of many owners: in an ordinary user's
// folder of kiln they belong to the user's subordinate ids.
func removeAll(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("rm", "-rf", "--one-file-system", dir)
	if os.Geteuid() != 0 {
		cmd = exec.Command("unshare", append([]string{"--user", "--map-root-user", "--map-auto"}, cmd.Args...)...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("remove %s: %v: %s", dir, err, out)
	}
}

// command returns the command kiln build with arguments.
func (b *builder) command(args ...string) *exec.Cmd {
	flags := []string{"build", "--root", b.root, "--progress", "plain"}
	if b.registry != nil {
		flags = append(flags, "--insecure-registry", b.registry.Addr)
	}
	cmd := exec.Command(os.Getenv(binaryVariable), append(flags, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+b.root)
	return cmd
}

// A result is how a build went.
type result struct {
	digest  string        // that kiln printed
	output  string        // all else that kiln printed
	took    time.Duration // from start to end
	peakKiB int           // the most memory that a process of kiln's had at once
}

// build runs kiln build with arguments. A build that fails ends the test.
func (b *builder) build(args ...string) result {
	b.t.Helper()
	cmd := b.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	memory := watchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	r := result{
		digest: strings.TrimSpace(stdout.String()), output: stderr.String(),
		took: time.Since(begin), peakKiB: memory.stop(),
	}
	if err != nil {
		b.t.Fatalf("kiln build %s: %v\n%s", strings.Join(args, " "), err, r.output)
	}
	return r
}

// exitCode returns the status a command ended with, -1 for a signal.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// source makes a build's source directory of files by name.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
