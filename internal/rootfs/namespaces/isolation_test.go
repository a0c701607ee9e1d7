package namespaces

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

func TestMain(m *testing.M) {
	if code, ok := Main(os.Args); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// scratch is a [Scratch] below a directory.
type scratch string

func (s scratch) Scratch() (string, error) { return os.MkdirTemp(string(s), "") }

// busybox returns a root filesystem of nothing but busybox.
func busybox(t testing.TB) rootfs.Tree {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root; the rootless half runs through rootfstest")
	}
	dir := t.TempDir()
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skipf("needs the package busybox-static: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "true", "id", "cat", "ls", "sleep", "mount", "grep", "stat", "pwd", "hostname", "ip", "kill", "env", "ps"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return rootfs.Tree{Upper: dir}
}

// run runs a shell script and returns what it wrote.
func run(t *testing.T, root rootfs.Tree, change func(*rootfs.Job), script string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	job := rootfs.Job{Root: root, Process: proc.Spec{
		Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/bin"}, Dir: "/",
		Stdout: &out, Stderr: &out,
	}}
	if change != nil {
		change(&job)
	}
	err := New(scratch(t.TempDir())).Run(context.Background(), job)
	return strings.TrimSpace(out.String()), err
}

func TestRunShowsOnlyTheRoot(t *testing.T) {
	root := busybox(t)
	out, err := run(t, root, nil, "ls /; hostname -s >/dev/null && id -u")
	if err != nil {
		t.Fatal(err)
	}
	if want := "bin\ndev\netc\nproc\nsys\n0"; out != want {
		t.Errorf("output is %q, want %q", out, want)
	}
	// What was made to mount on is gone again.
	entries, err := os.ReadDir(root.Upper)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "bin" {
		t.Errorf("the root holds %v afterwards, want only bin", entries)
	}
}

func TestRunTellsHowTheProcessEnded(t *testing.T) {
	root := busybox(t)
	for _, test := range []struct {
		name string
		args []string
		want proc.ExitError
	}{
		{"status", []string{"sh", "-c", "exit 3"}, proc.ExitError{Code: 3}},
		{"signal", []string{"sh", "-c", "kill -9 $$"}, proc.ExitError{Code: 137, Signal: "SIGKILL"}},
		{"not in PATH", []string{"nope"}, proc.ExitError{Code: 127, Reason: `exec "nope": executable file not found in PATH`}},
		{"not there", []string{"/nope"}, proc.ExitError{Code: 127, Reason: "exec /nope: no such file or directory"}},
		{"a directory", []string{"/bin"}, proc.ExitError{Code: 126, Reason: "exec /bin: permission denied"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := run(t, root, func(j *rootfs.Job) { j.Process.Args = test.args }, "")
			var got *proc.ExitError
			if !errors.As(err, &got) || *got != test.want {
				t.Errorf("the error is %v, want %v", err, &test.want)
			}
		})
	}
}

func BenchmarkRunTrue(b *testing.B) {
	root := busybox(b)
	i := New(scratch(b.TempDir()))
	for b.Loop() {
		err := i.Run(context.Background(), rootfs.Job{Root: root, Process: proc.Spec{Args: []string{"/bin/true"}, Dir: "/"}})
		if err != nil {
			b.Fatal(err)
		}
	}
}
