package cli

import (
	"errors"
	"fmt"

	"github.com/kiln-build/kiln/internal/rootfs/engines"
)

// ended is the "error" of a command that another process has carried out, and
// that has said everything: only its exit status is left to be passed on.
type ended struct{ status int }

func (e *ended) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// enter carries the command out again in a user namespace where this process
// has too few rights, and returns an *ended then. Otherwise the command goes on
// here: whyNot says why there is no namespace, which matters only if something
// has to be run.
func (p Process) enter() (whyNot, err error) {
	if p.Enter == nil {
		return nil, nil
	}
	status, whyNot := p.Enter()
	if whyNot == nil {
		return nil, &ended{status: status}
	}
	return whyNot, nil
}

// withoutRights adds to the error of a build why it has too few rights, if that
// is what it failed for.
func withoutRights(err, whyNot error) error {
	var none *engines.NoEngineError
	if whyNot == nil || !errors.As(err, &none) {
		return err
	}
	return fmt.Errorf("%w; %w", err, whyNot)
}
