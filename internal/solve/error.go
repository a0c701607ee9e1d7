package solve

import (
	"fmt"

	"github.com/kiln-build/kiln/internal/plan"
)

// StepError says which step of the Dockerfile failed, and why.
type StepError struct {
	At   plan.Location
	Text string
	// Tail holds the last lines of a failed RUN's output.
	Tail []string
	Err  error
}

// Error names the place, the instruction and the cause.
func (e *StepError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %v", e.At.File, e.At.Start, e.Text, e.Err)
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Location returns where the step stands in the Dockerfile.
func (e *StepError) Location() plan.Location { return e.At }

// Output returns the last lines of the failed command's output.
func (e *StepError) Output() []string { return e.Tail }
