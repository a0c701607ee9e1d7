package userns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error says that there is no user namespace to be had, and what was tried.
type Error struct{ Attempts []Attempt }

// Attempt is one way to a user namespace.
type Attempt struct {
	// Way says what was tried.
	Way string
	// Err says why it failed.
	Err error
}

// Error lists the attempts.
func (e *Error) Error() string {
	var reasons []string
	for _, a := range e.Attempts {
		reasons = append(reasons, fmt.Sprintf("%s: %v", a.Way, a.Err))
	}
	return "no user namespace can be made here; tried " + strings.Join(reasons, "; ")
}

// Unwrap returns the attempts' errors.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return errs
}

// Enter runs the program again, with the same arguments, as root of a user
// namespace, and returns its exit status once it has ended; 128+signal if a
// signal ended it. Signals that this process gets are passed on. The error is
// an *Error if there is no namespace to be had; the program has not run then.
func Enter() (code int, err error) {
	if os.Getenv(outerUID) != "" {
		return 0, errors.New("enter user namespace: in one already, and it gives no rights")
	}
	// From before there is a child: a signal that comes in between is for it.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	failed := &Error{}
	for _, way := range waysToMap() {
		child, err := enterBy(way)
		if err != nil {
			failed.Attempts = append(failed.Attempts, Attempt{Way: way.name, Err: err})
			continue
		}
		return accompany(child, signals)
	}
	return 0, failed
}

// enterBy starts a child whose ids are mapped as way says, and returns once it
// has executed the program.
func enterBy(way way) (_ *exec.Cmd, err error) {
	pipes, err := openPipes()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pipes.close()) }()
	cmd := stageCommand(pipes)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start in new user namespace: %w", err)
	}
	err = way.write(cmd.Process.Pid)
	if err == nil {
		err = pipes.letGo()
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	return cmd, nil
}

func stageCommand(p *pipes) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{StageName, p.childNames()}, os.Args...)
	cmd.Env = append(os.Environ(), outerUID+"="+strconv.Itoa(os.Geteuid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		// As it has no user id that exists, executing would take the
		// capabilities away.
		AmbientCaps: allCapabilities(),
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd
}

func allCapabilities() []uintptr {
	var caps []uintptr
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			break // past the last one that the kernel knows
		}
		caps = append(caps, c)
	}
	return caps
}

// accompany waits for the child, and passes on the signals that come.
func accompany(child *exec.Cmd, signals <-chan os.Signal) (code int, err error) {
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case s := <-signals:
			if !fromTerminal(s) {
				_ = child.Process.Signal(s) // it may just have ended
			}
		case err := <-ended:
			return status(child.ProcessState), notExit(err)
		}
	}
}

// fromTerminal reports whether s is one that the terminal sends to the whole
// process group, the child included.
func fromTerminal(s os.Signal) bool {
	if s != unix.SIGINT && s != unix.SIGQUIT {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}

func status(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// notExit returns err unless it only says how the child ended.
func notExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
