package rootfs

import "fmt"

// UnsupportedError says that an engine cannot give a process what it asks for.
type UnsupportedError struct {
	// Engine is the engine's name.
	Engine string
	// What is what was asked for, as a Dockerfile writes it.
	What string
	// Why says what is missing, and who has it.
	Why string
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not possible in the engine %s: %s", e.What, e.Engine, e.Why)
}
