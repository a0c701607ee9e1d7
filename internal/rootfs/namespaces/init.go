package namespaces

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Main is PID 1. It returns ok = false, having done nothing, if args are not
// those of PID 1; else the caller exits with code. See the package
// documentation for where it is called.
func Main(args []string) (code int, ok bool) {
	if len(args) == 0 || args[0] != InitName {
		return 0, false
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "kiln-init:", err)
		return 1, true
	}
	return 0, true
}

// serve hears a config, does what it says and reports.
func serve() error {
	if err := hideInherited(); err != nil {
		return err
	}
	if err := hideMemory(); err != nil {
		return err
	}
	// The kernel drops signals from inside for which PID 1 has no handler; the
	// Go runtime has handlers that exit. Catching, unlike ignoring, is not
	// passed on to the process.
	signal.Notify(make(chan os.Signal, 1))
	unix.Umask(0)

	in, out := os.NewFile(configFD, "config"), os.NewFile(reportFD, "report")
	var cfg config
	if err := json.NewDecoder(in).Decode(&cfg); err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	go dieWithParent(in, cfg.Beside)

	s := &setup{config: cfg}
	var said report
	do := s.run
	if cfg.Beside {
		do = s.beside
	}
	ended, err := do()
	if err != nil {
		said.Failed = err.Error()
	}
	said.Exit, said.Notes = ended, s.notes
	return send(out, said)
}

// hideInherited keeps descriptors that kiln itself was started with, and the
// two pipes, from the process.
func hideInherited() error {
	err := unix.CloseRange(configFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Before Linux 5.11.
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list descriptors: %w", err)
	}
	for _, fd := range fds {
		var n int
		if _, err := fmt.Sscan(fd.Name(), &n); err == nil && n >= configFD {
			unix.CloseOnExec(n)
		}
	}
	return nil
}

// hideMemory keeps the process from reaching into PID 1, which has capabilities
// that it has not. The kernel compares those of single threads, and the one that
// starts the process has given its own up (see launch).
func hideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide memory: %w", err)
	}
	return nil
}

// dieWithParent ends PID 1, and with it the namespace, when the parent's end
// of the pipe is closed. The kernel's parent-death signal does the same, but is
// lost if the parent dies before it is set.
func dieWithParent(in io.Reader, beside bool) {
	_, _ = io.Copy(io.Discard, in)
	if beside {
		endDescendants() // there is no namespace that ends with us
	}
	os.Exit(1)
}

// setup is one run on the inside of the namespaces.
type setup struct {
	config
	// root is the directory of the host on which the root is put together.
	root string
	// sources are what is shown, held open; see openSources.
	sources []*os.File
	// places are what was mounted on and made for it, in order.
	places []place
	// notes are for Rehearse.
	notes []string
}

func (s *setup) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *setup) setHostname() error {
	if s.Hostname == "" {
		return nil
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set hostname %q: %w", s.Hostname, err)
	}
	return nil
}

// run does everything. The error says what could not be set up; how the
// process ended is in exit.
func (s *setup) run() (*exit, error) {
	steps := []func() error{
		s.setHostname,
		s.isolateMounts,
		s.startLoopback,
		s.mountRoot,
		s.openSources,
		s.pivot,
		s.mountProc,
		s.mountSys,
		s.mountDev,
		s.mountFiles,
		s.mountSpecified,
		s.maskKernel,
		s.leave,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if s.Rehearse {
		return nil, s.rehearse()
	}
	ended, err := s.execute()
	if err != nil {
		return nil, err
	}
	return ended, s.clear()
}

// rehearse does what [Isolation.Rehearse] says of /rehearsal.
func (s *setup) rehearse() error {
	if s.Root.Lower != nil && s.Root.Upper != "" {
		if err := os.RemoveAll("/rehearsal"); err != nil {
			return err
		}
		if err := os.Mkdir("/rehearsal", 0o755); err != nil {
			return err
		}
	}
	return s.clear()
}
