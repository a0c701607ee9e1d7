package build

import (
	"context"

	"github.com/kiln-build/kiln/internal/mount"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/solve"
)

// processes puts a mount.Maker in the solver's place for it: each declares for
// itself where the layers of a mount come from.
type processes struct{ maker *mount.Maker }

// Process implements [solve.Processes].
func (p processes) Process(ctx context.Context, op *plan.Run, origins solve.Origins) (proc.Spec, func() error, error) {
	return p.maker.Process(ctx, op, origins)
}

// noSecrets is a build that was given none.
type noSecrets struct{}

// Secret implements [mount.Secrets].
func (noSecrets) Secret(string) ([]byte, bool, error) { return nil, false, nil }
