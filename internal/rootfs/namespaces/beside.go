package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
)

// Beside runs a process in the root filesystem that kiln itself is in, where
// nothing else is allowed: without namespaces, seeing what kiln's container
// shows. As far as that goes it is run like any other: by a child of kiln that
// everything it starts comes back to, and that ends it all. It sees none of
// kiln's environment and descriptors.
//
// Mounts, network and privileges of p are not looked at.
func (i *Isolation) Beside(ctx context.Context, p proc.Spec) error {
	if len(p.Args) == 0 {
		return errors.New("run process: no command")
	}
	cfg := config{Args: p.Args, Env: p.Env, Dir: p.Dir, User: p.User, Privileged: p.Privileged, Beside: true}
	said, err := i.converse(ctx, cfg, p)
	if err != nil {
		return err
	}
	if said.Failed != "" {
		return fmt.Errorf("set up process: %s", said.Failed)
	}
	return said.Exit.err()
}

// beside runs the process and then ends what it left running.
func (s *setup) beside() (*exit, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphans: %w", err)
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, unix.SIGTERM)
	go func() {
		<-stopped
		endDescendants()
		os.Exit(1)
	}()
	ended, err := s.execute()
	endDescendants()
	return ended, err
}

// endDescendants kills all that this process has started, directly or not, and
// reaps it. The children of one that is killed become children of this process,
// so that in the end there is nobody left to start another.
func endDescendants() {
	for {
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL) // it may just have ended
		}
		_, err := unix.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // ECHILD: all are gone
		}
	}
}

// children returns the processes whose parent is this one.
func children() []int {
	self := os.Getpid()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && parentOf(pid) == self {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf reads the fourth field of /proc/PID/stat (proc(5)); the second, in
// brackets, may hold anything. It returns 0 for a process that is gone.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	end := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1]) // 0 is nobody's
	return parent
}
