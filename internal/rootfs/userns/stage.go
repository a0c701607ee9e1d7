package userns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// StageName is the argv[0] under which the program is started in a new user
// namespace.
const StageName = "kiln-userns"

// Stage is the child of [Enter] until it executes the program again: it returns
// only if that fails, which Enter is told as well, or, with nil, if args are not
// those of the child.
func Stage(args []string) error {
	if len(args) < 3 || args[0] != StageName {
		return nil
	}
	wait, report, err := childPipes(args[1])
	if err != nil {
		return fmt.Errorf("enter user namespace: %w", err)
	}
	err = become(wait)
	if err == nil {
		err = syscall.Exec("/proc/self/exe", args[2:], os.Environ())
	}
	_, sayErr := fmt.Fprintln(report, err)
	return errors.Join(fmt.Errorf("enter user namespace: %w", err), sayErr)
}

// become waits until the ids are mapped and becomes root, who can mount.
func become(wait *os.File) error {
	parent := os.Getppid()
	if n, err := wait.Read(make([]byte, 1)); n != 1 {
		return fmt.Errorf("wait for map of ids: %w", err)
	}
	if err := leaveGroups(); err != nil {
		return err
	}
	if err := errors.Join(syscall.Setresgid(0, 0, 0), syscall.Setresuid(0, 0, 0)); err != nil {
		return fmt.Errorf("become user 0: %w", err)
	}
	// Some systems let everyone make user namespaces and then refuse what they
	// are for. What is mounted outside later on still comes in.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("mount in user namespace: %w", err)
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
