package namespaces

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// reap waits for whatever ends, as PID 1 has to, until main has ended.
func reap(main int) (*exit, error) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for process: %w", err)
		}
		if pid != main {
			continue
		}
		if status.Signaled() {
			return &exit{Code: 128 + int(status.Signal()), Signal: unix.SignalName(status.Signal())}, nil
		}
		return &exit{Code: status.ExitStatus()}, nil
	}
}

// endOthers kills every other process of the PID namespace and reaps it.
func endOthers() {
	// Fails if there is none.
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		_, err := unix.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // ECHILD: all are gone
		}
	}
}
