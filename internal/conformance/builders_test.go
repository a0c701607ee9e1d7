package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A builder makes images. Kiln in each of its engines is one; so are those that
// it is compared with.
type builder interface {
	// build builds a workspace into an archive and returns what was printed.
	// An error says that the Dockerfile was not built.
	build(ctx context.Context, b *job) (output string, err error)
}

// A job is one build.
type job struct {
	testCase *testCase
	space    *workspace
	names    names
	registry string            // host
	layouts  map[string]string // OCI layouts, by the name of the context
	archive  string            // to write
}

// patience is how long a build may take. All cases are small: one that takes
// longer hangs.
const patience = 90 * time.Second

// commonFlags are the flags that all builders know.
func (b *job) commonFlags() []string {
	var flags []string
	if b.space.dockerfile != "" {
		flags = append(flags, "-f", b.space.dockerfile)
	} else {
		flags = append(flags, "-f", "-")
	}
	for _, cmd := range b.testCase.commands {
		switch cmd.name() {
		case "arg":
			flags = append(flags, "--build-arg", b.names.toReal.Replace(cmd.arg(0)))
		case "target":
			flags = append(flags, "--target", cmd.arg(0))
		case "platform":
			flags = append(flags, "--platform", cmd.arg(0))
		case "flag":
			flags = append(flags, cmd.words[1:]...)
		case "secret":
			flags = append(flags, "--secret", "id="+cmd.arg(0)+",src="+filepath.Join(b.space.dir, "@secret", cmd.arg(0)))
		case "ssh":
			flags = append(flags, "--ssh", cmd.arg(0)+"="+filepath.Join(b.space.dir, "agent"))
		case "named":
			flags = append(flags, "--build-context", cmd.arg(0)+"="+b.namedSource(cmd))
		}
	}
	return flags
}

// namedSource is what a named context is read from.
func (b *job) namedSource(cmd command) string {
	if dir, is := b.layouts[cmd.arg(0)]; is {
		return "oci-layout://" + dir
	}
	if source := cmd.arg(1); source != "" {
		return b.names.toReal.Replace(source)
	}
	return filepath.Join(b.space.dir, "@named", cmd.arg(0))
}

// environment is that of a builder: the test's own with what the case says.
func (b *job) environment() []string {
	env := os.Environ()
	for _, cmd := range b.testCase.find("env") {
		env = append(env, cmd.arg(0))
	}
	return env
}

// run runs a builder's program.
func (b *job) run(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if b.space.stdin != nil {
		cmd.Stdin = bytes.NewReader(b.space.stdin)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	return b.names.toInvented.Replace(out.String()), err
}

func runCommand(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// kiln is kiln with one engine.
type kiln struct {
	binary, engine, root string
	// user runs it, where that is not who runs the test.
	user *syscall.Credential
	home string
	// cached builds everything twice and looks at the second image, whose
	// layers come from the cache.
	cached bool
}

func (k *kiln) build(ctx context.Context, b *job) (string, error) {
	if !k.cached {
		return k.run(ctx, b, "--no-cache")
	}
	if out, err := k.run(ctx, b); err != nil {
		return out, err
	}
	if err := os.Remove(b.archive); err != nil {
		return "", err
	}
	return k.run(ctx, b)
}

func (k *kiln) run(ctx context.Context, b *job, flags ...string) (string, error) {
	args := append([]string{"build", "--engine", k.engine, "--root", k.root, "--progress", "plain",
		"-o", "type=oci,dest=" + b.archive, "--insecure-registry", b.registry}, b.commonFlags()...)
	args = append(args, flags...)
	cmd := exec.CommandContext(ctx, k.binary, append(args, b.space.context)...)
	cmd.Env = b.environment()
	if k.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: k.user}
		cmd.Env = append(cmd.Env, "HOME="+k.home)
	}
	out, err := b.run(cmd)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() != 1 {
		return out, fmt.Errorf("kiln ended with %s: a Dockerfile that cannot be built ends with 1", exit.ProcessState)
	}
	return out, err
}

// docker is a Docker daemon that the test starts for itself, without a network
// of its own.
type docker struct{ host string }

// startDocker starts Docker's daemon until the test ends.
func startDocker(t *testing.T) *docker {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Docker's daemon needs root")
	}
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		t.Fatal(err)
	}
	d := &docker{host: "unix://" + filepath.Join(dir, "docker.sock")}
	cmd := exec.Command("dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", d.host,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "-p", filepath.Join(dir, "pid"))
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Skipf("the wanted images are made by Docker (Debian: docker.io): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it is waited for: an error would be told there
		if err := cmd.Wait(); err != nil {
			t.Logf("dockerd: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for range 100 {
		if d.command(context.Background(), "version").Run() == nil {
			return d
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("dockerd does not answer: %s", log.String())
	return nil
}

// dockerPath is Debian's docker, which brings what DOCKER_BUILDKIT=1 needs.
const dockerPath = "/usr/bin/docker"

func (d *docker) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, dockerPath, append([]string{"--host", d.host}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1", "BUILDKIT_PROGRESS=plain")
	return cmd
}

const referenceTag = "reference:latest"

func (d *docker) build(ctx context.Context, b *job) (string, error) {
	args := append([]string{"build", "--no-cache", "--network", "host", "-t", referenceTag}, b.commonFlags()...)
	cmd := d.command(ctx, append(args, b.space.context)...)
	cmd.Env = append(cmd.Env, b.environment()...)
	out, err := b.run(cmd)
	if err != nil {
		return out, err
	}
	if err := runCommand(d.command(ctx, "save", "-o", b.archive, referenceTag)); err != nil {
		return out, err
	}
	return out, runCommand(d.command(ctx, "rmi", "-f", referenceTag))
}

// buildah is Debian's Buildah.
type buildah struct{ root string }

func (bu *buildah) build(ctx context.Context, b *job) (string, error) {
	storage := []string{"--root", filepath.Join(bu.root, "root"), "--runroot", filepath.Join(bu.root, "run")}
	args := slices.Concat(storage, []string{"bud", "--no-cache", "--format", "docker", "--layers", "--tls-verify=false",
		"--isolation", "chroot", "-t", referenceTag}, b.commonFlags())
	cmd := exec.CommandContext(ctx, "buildah", append(args, b.space.context)...)
	cmd.Env = b.environment()
	out, err := b.run(cmd)
	if err != nil {
		return out, err
	}
	push := slices.Concat(storage, []string{"push", referenceTag, "oci-archive:" + b.archive})
	return out, runCommand(exec.CommandContext(ctx, "buildah", push...))
}
