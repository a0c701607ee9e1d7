package namespaces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// outputDelay is how long output may still come after the last process of a
// run is gone: only a descriptor passed to a process outside can hold it open.
const outputDelay = 5 * time.Second

// Scratch makes the directories that an [Isolation] mounts on.
type Scratch interface {
	// Scratch returns a new, empty directory. The caller removes it.
	Scratch() (dir string, err error)
}

// Isolation implements [rootfs.Isolation]. It is safe for concurrent use.
type Isolation struct {
	scratch Scratch
	program *program
}

// New returns an Isolation that keeps what a run needs in directories that
// scratch makes.
func New(scratch Scratch) *Isolation {
	return &Isolation{scratch: scratch, program: openProgram()}
}

// Run implements [rootfs.Isolation].
func (i *Isolation) Run(ctx context.Context, job rootfs.Job) error {
	if len(job.Process.Args) == 0 {
		return errors.New("run process: no command")
	}
	_, err := i.run(ctx, job, false)
	return err
}

// Rehearse does everything that Run does but the process: namespaces, root,
// mounts, user. Where the root is a writable overlay it also replaces the
// directory /rehearsal, which the caller has put there, by an empty one: what
// that leaves in the upper directory shows whether overlayfs works in full.
// Notes say what could only be had in another way than the usual one.
func (i *Isolation) Rehearse(ctx context.Context, job rootfs.Job) (notes []string, err error) {
	return i.run(ctx, job, true)
}

func (i *Isolation) run(ctx context.Context, job rootfs.Job, rehearse bool) (notes []string, err error) {
	scratch, err := i.scratch.Scratch()
	if err != nil {
		return nil, fmt.Errorf("prepare process: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	cfg := newConfig(job, scratch)
	cfg.Rehearse = rehearse
	if cfg.Files, err = writeFiles(scratch, job.Process); err != nil {
		return nil, fmt.Errorf("prepare process: %w", err)
	}
	said, err := i.converse(ctx, cfg, job.Process)
	if err != nil {
		return nil, err
	}
	if said.Failed != "" {
		return said.Notes, fmt.Errorf("set up process: %s", said.Failed)
	}
	return said.Notes, said.Exit.err()
}

// converse starts PID 1, tells it cfg and returns its report once it and
// everything it started is gone.
func (i *Isolation) converse(ctx context.Context, cfg config, p proc.Spec) (said report, err error) {
	childConfig, tell, err := os.Pipe()
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, tell.Close()) }()
	hear, childReport, err := os.Pipe()
	if err != nil {
		return report{}, errors.Join(err, childConfig.Close())
	}
	defer func() { err = errors.Join(err, hear.Close()) }()

	cmd := command(ctx, i.program.path(), cfg, p)
	cmd.ExtraFiles = []*os.File{childConfig, childReport}
	startErr := cmd.Start()
	if err := errors.Join(childConfig.Close(), childReport.Close()); err != nil && startErr == nil {
		return report{}, err
	}
	if startErr != nil {
		return report{}, fmt.Errorf("start in new namespaces: %w", startErr)
	}
	// PID 1 keeps reading until the parent is gone, so this cannot fail for
	// another reason than that it died, which Wait tells better.
	_ = send(tell, cfg)
	answer, readErr := io.ReadAll(hear)
	waitErr := cmd.Wait()
	if ctx.Err() != nil {
		return report{}, fmt.Errorf("run process: %w", context.Cause(ctx))
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return report{}, fmt.Errorf("run process: PID 1 ended without a word: %w", errors.Join(waitErr, readErr))
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return report{}, fmt.Errorf("read report of PID 1: %w", err)
	}
	if waitErr != nil {
		return said, fmt.Errorf("run process: %w", waitErr)
	}
	return said, nil
}

func command(ctx context.Context, program string, cfg config, p proc.Spec) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program)
	cmd.Args = []string{InitName}
	// The Go runtime of PID 1 needs no environment, and that of kiln may hold
	// secrets.
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	cmd.WaitDelay = outputDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// An interrupt of the terminal is for kiln to act on.
		Setsid: true,
	}
	if cfg.Beside {
		// It has to end what it started before it ends itself; see beside.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		return cmd
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if cfg.NetworkIsolated {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	}
	return cmd
}

// writeFiles writes what /etc/resolv.conf, /etc/hosts and /etc/hostname show.
// They are files of their own for each run: writing to them succeeds, as in
// docker, and changes nothing outside.
func writeFiles(scratch string, p proc.Spec) ([]file, error) {
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	hostname := p.Hostname
	if hostname == "" {
		if hostname, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	contents := []struct{ target, content string }{
		{"/etc/resolv.conf", string(resolv)},
		{"/etc/hosts", hosts(hostname, p.ExtraHosts)},
		{"/etc/hostname", hostname + "\n"},
	}
	files := make([]file, len(contents))
	for i, c := range contents {
		source := scratch + "/" + c.target[strings.LastIndexByte(c.target, '/')+1:]
		if err := writeShared(source, c.content); err != nil {
			return nil, err
		}
		files[i] = file{Source: source, Target: c.target}
	}
	return files, nil
}

// writeShared writes a file that every user can read, whatever the umask.
func writeShared(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// hosts returns an /etc/hosts as BuildKit writes it (executor/oci/hosts.go).
func hosts(hostname string, extra []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1\tlocalhost %s\n", hostname)
	b.WriteString("::1\tlocalhost ip6-localhost ip6-loopback\n")
	b.WriteString("fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	for _, line := range extra {
		b.WriteString(line + "\n")
	}
	return b.String()
}
