package dockerfile

import (
	"fmt"
	"path"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/kiln-build/kiln/internal/plan"
)

// mounts adds the mounts of a RUN.
func (w *walker) mounts(op *plan.Run, cmd *instruction, c *instructions.RunCommand) error {
	agents := 0
	for i, m := range instructions.GetMounts(c) {
		mount := plan.Mount{
			Type:     string(m.Type),
			Target:   m.Target,
			ReadOnly: m.ReadOnly,
			ID:       m.CacheID,
			Required: m.Required,
			Mode:     m.Mode, UID: m.UID, GID: m.GID,
		}
		var err error
		switch m.Type {
		case instructions.MountTypeSecret:
			secretMount(&mount, m)
		case instructions.MountTypeSSH:
			err = agentMount(&mount, m, agents)
			agents++
		case instructions.MountTypeTmpfs:
			mount.Size = m.SizeLimit
		case instructions.MountTypeCache:
			w.cacheMount(&mount, m)
			err = w.mountSource(&mount, m, cmd.from[i])
		default:
			err = w.mountSource(&mount, m, cmd.from[i])
		}
		if err == nil {
			err = w.mountTarget(&mount, m)
		}
		if err != nil {
			return w.file.wrap(c.Location(), fmt.Errorf("RUN --mount=type=%s: %w", m.Type, err))
		}
		op.Mounts = append(op.Mounts, mount)
	}
	return nil
}

// mountTarget makes the target of a mount absolute.
func (w *walker) mountTarget(mount *plan.Mount, m *instructions.Mount) error {
	if m.Type == instructions.MountTypeSecret && mount.Target == "" {
		return nil // only a variable
	}
	if !path.IsAbs(path.Clean(mount.Target)) {
		mount.Target = path.Join(w.dir(), mount.Target)
	}
	if mount.Target = path.Clean(mount.Target); mount.Target == "/" {
		return fmt.Errorf("the target cannot be /")
	}
	return nil
}

// mountSource sets what a bind mount shows, or what a cache starts with.
func (w *walker) mountSource(mount *plan.Mount, m *instructions.Mount, from *source) (err error) {
	mount.Source = path.Join("/", m.Source)[1:]
	if from == nil {
		return nil
	}
	if m.Type == instructions.MountTypeCache && from.stage == nil && from.name == scratch {
		return nil // as without from
	}
	mount.From, err = w.origin(from, w.stage)
	return err
}

// cacheMount sets what only a cache has. Without an id it is known by its
// target, as that is written.
func (w *walker) cacheMount(mount *plan.Mount, m *instructions.Mount) {
	if mount.ID == "" {
		mount.ID = path.Clean(m.Target)
	}
	if namespace := w.buildArgs["BUILDKIT_CACHE_MOUNT_NS"]; namespace != "" {
		mount.ID = namespace + "/" + mount.ID
	}
	mount.Sharing = string(m.CacheSharing)
	if mount.Sharing == "" {
		mount.Sharing = string(instructions.MountSharingShared)
	}
}

// secretMount sets what a secret is called and where it goes.
func secretMount(mount *plan.Mount, m *instructions.Mount) {
	if m.Source != "" {
		mount.ID = m.Source
	}
	if mount.ID == "" {
		mount.ID = path.Base(m.Target)
	}
	if m.Env != nil {
		mount.Env = *m.Env
		if mount.Env == "" {
			mount.Env = mount.ID
		}
	}
	if m.Env == nil && mount.Target == "" {
		mount.Target = "/run/secrets/" + path.Base(mount.ID)
	}
}

// agentMount sets what an agent is called and where its socket is. n counts the
// agents of the instruction.
func agentMount(mount *plan.Mount, m *instructions.Mount, n int) error {
	if m.Source != "" {
		return fmt.Errorf("it has no source")
	}
	if mount.ID == "" {
		mount.ID = "default"
	}
	if mount.Target == "" {
		mount.Target = fmt.Sprintf("/run/buildkit/ssh_agent.%d", n)
	}
	return nil
}
