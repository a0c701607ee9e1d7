package mount

import (
	"context"
	"fmt"

	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// agentVariable is where SSH clients look for their agent.
const agentVariable = "SSH_AUTH_SOCK"

// ssh is the socket of an agent that lives as long as the step, and the
// variable that SSH clients look at.
func (m *Maker) ssh(ctx context.Context, mount plan.Mount) (made, error) {
	socket, release, ok, err := m.Agents.Forward(ctx, mount.ID, owner(mount, 0o600))
	switch {
	case err != nil:
		return made{}, fmt.Errorf("forward agent %s: %w", mount.ID, err)
	case !ok && mount.Required:
		return made{}, fmt.Errorf("agent %s is required and was not given; give it with --ssh %s", mount.ID, mount.ID)
	}
	// The variable is set in any case, to the first agent, and an ENV of that
	// name wins (BuildKit, client/llb/exec.go).
	out := made{agent: mount.Target}
	if ok {
		out.mount = &proc.Mount{Target: mount.Target, Source: proc.MountSource{Path: socket}}
		out.release = release
	}
	return out, nil
}
