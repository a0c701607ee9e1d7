package step

import (
	"context"
	"fmt"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/tree"
)

// Workdir makes the directories of op that are missing in dest, with mode 0755
// and owned by the active user. What exists is left as it is.
func (c *Copier) Workdir(ctx context.Context, op *plan.Workdir, dest tree.View) (layer.Delta, error) {
	dir, err := tree.Resolve(dest, tree.Clean(op.Path))
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", op.Path, err)
	}
	var who *owner
	if op.User != "" {
		found, err := lookupOwner(ctx, dest, op.User)
		if err != nil {
			return nil, err
		}
		who = &found
	}
	d := newDraft(dest, 1)
	if err := d.mkdirAll(dir, dirKind{mode: 0o755, owner: who, now: c.now()}); err != nil {
		return nil, err
	}
	return d.finish(), nil
}
