package build

import (
	"context"
	"fmt"
	"os"

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

// secrets implements [mount.Secrets].
type secrets map[string]Secret

// Secret implements [mount.Secrets].
func (s secrets) Secret(id string) (content []byte, ok bool, err error) {
	secret, ok := s[id]
	if !ok {
		return nil, false, nil
	}
	content, err = secret.Read()
	return content, true, err
}

// agents returns the agents that --ssh names.
func agents(ssh map[string][]string) (map[string]mount.Agent, error) {
	found := make(map[string]mount.Agent)
	for id, paths := range ssh {
		info, err := os.Stat(paths[0])
		if err != nil {
			return nil, fmt.Errorf("find ssh agent %s: %w", id, err)
		}
		if len(paths) == 1 && info.Mode()&os.ModeSocket != 0 {
			found[id] = mount.AgentSocket(paths[0])
			continue
		}
		if found[id], err = mount.LoadKeys(paths); err != nil {
			return nil, fmt.Errorf("load ssh agent %s: %w", id, err)
		}
	}
	return found, nil
}
