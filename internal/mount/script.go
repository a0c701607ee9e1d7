package mount

import (
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// script is the file of a RUN heredoc that names its own interpreter.
func script(mount plan.Mount) made {
	o := owner(mount, 0o755)
	return made{mount: &proc.Mount{
		Target:   mount.Target,
		ReadOnly: true,
		Source:   proc.MountSource{File: &proc.File{Content: mount.Content, Mode: o.Mode, UID: o.UID, GID: o.GID}},
	}}
}
