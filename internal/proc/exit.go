package proc

import "fmt"

// The exit codes of docker for a command that could not be executed.
const (
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// ExitError says that a process ran and did not succeed, or that its command
// could not be executed in the root filesystem.
type ExitError struct {
	// Code is its exit status, 128+signal if a signal ended it,
	// CodeNotExecutable or CodeNotFound if it was never executed.
	Code int
	// Signal names the signal that ended it ("SIGKILL"), "" if none did.
	Signal string
	// Reason says why the command was not executed, "" if it was.
	Reason string
}

// Error says how the process ended.
func (e *ExitError) Error() string {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("%s (exit status %d)", e.Reason, e.Code)
	case e.Signal != "":
		return fmt.Sprintf("killed by signal %s", e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}
