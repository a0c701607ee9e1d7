package mount

import (
	"fmt"

	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// secret is a file only its owner can read (0400 unless mode says otherwise), a
// variable, or both. A missing secret that is not required is not there.
func (m *Maker) secret(mount plan.Mount) (made, error) {
	content, ok, err := m.Secrets.Secret(mount.ID)
	switch {
	case err != nil:
		return made{}, fmt.Errorf("read secret %s: %w", mount.ID, err)
	case !ok && mount.Required:
		return made{}, fmt.Errorf("secret %s is required and was not given; give it with --secret id=%s,src=FILE", mount.ID, mount.ID)
	case !ok:
		return made{}, nil
	}
	var out made
	if mount.Env != "" {
		out.env = []string{mount.Env + "=" + string(content)}
	}
	if mount.Target != "" {
		o := owner(mount, 0o400)
		out.mount = &proc.Mount{
			Target:   mount.Target,
			ReadOnly: true,
			Source:   proc.MountSource{File: &proc.File{Content: content, Mode: o.Mode, UID: o.UID, GID: o.GID}},
		}
	}
	return out, nil
}
