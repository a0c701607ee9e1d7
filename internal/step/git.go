package step

import (
	"context"
	"fmt"

	"github.com/kiln-build/kiln/internal/plan"
)

// UnsupportedSourceError is returned for sources that kiln cannot read yet.
type UnsupportedSourceError struct {
	// Source is the source as written, and Kind what it is.
	Source, Kind string
}

// Error implements error.
func (e *UnsupportedSourceError) Error() string {
	return fmt.Sprintf("add %s: %s as sources of ADD are not supported yet", e.Source, e.Kind)
}

func (c *copying) git(_ context.Context, source plan.Source) error {
	return &UnsupportedSourceError{Source: source.Git, Kind: "git repositories"}
}
