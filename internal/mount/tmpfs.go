package mount

import (
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// tmpfs is an empty file system, world-writable and sticky as /tmp is.
func tmpfs(mount plan.Mount) made {
	return made{mount: &proc.Mount{
		Target:   mount.Target,
		ReadOnly: mount.ReadOnly,
		Source:   proc.MountSource{Tmpfs: &proc.Tmpfs{Size: mount.Size, Mode: 0o1777}},
	}}
}
