package userns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// StageName is the argv[0] under which the program is started in a new user
// namespace.
const StageName = "kiln-userns"

// Stage is the child of [Enter] until it executes the program again: it returns
// only if that fails, or, with nil, if args are not those of the child.
func Stage(args []string) error {
	if len(args) < 3 || args[0] != StageName {
		return nil
	}
	if err := becomeRoot(args[1]); err != nil {
		return fmt.Errorf("enter user namespace: %w", err)
	}
	if err := syscall.Exec("/proc/self/exe", args[2:], os.Environ()); err != nil {
		return fmt.Errorf("enter user namespace: execute program again: %w", err)
	}
	return nil
}

// becomeRoot waits until the ids are mapped and becomes user 0.
func becomeRoot(pipe string) error {
	parent := os.Getppid()
	fd, err := strconv.Atoi(pipe)
	if err != nil {
		return err
	}
	wait := os.NewFile(uintptr(fd), "pipe")
	if n, err := wait.Read(make([]byte, 1)); n != 1 {
		return fmt.Errorf("wait for map of ids: %w", err)
	}
	if err := wait.Close(); err != nil {
		return err
	}
	if err := leaveGroups(); err != nil {
		return err
	}
	if err := errors.Join(syscall.Setresgid(0, 0, 0), syscall.Setresuid(0, 0, 0)); err != nil {
		return fmt.Errorf("become user 0: %w", err)
	}
	// The change of user has cleared it. It belongs to this thread, which is
	// the one that executes.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set signal for the parent's death: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the parent is gone")
	}
	return nil
}

// leaveGroups gives up the groups of the user outside, where that is possible:
// with a single id it is not.
func leaveGroups() error {
	setgroups, err := os.ReadFile("/proc/self/setgroups")
	if err == nil && strings.TrimSpace(string(setgroups)) == "deny" {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	return nil
}
