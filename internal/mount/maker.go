package mount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// Origins gives the layers that bind and cache mounts are taken from.
type Origins interface {
	Origin(ctx context.Context, from plan.Origin) ([]*layer.Layer, error)
}

// Sources gives files that can be put into a directory.
type Sources interface {
	// Files returns what path shows in the source tree named by from.Context,
	// or in layers where from is a stage or an image: the content of a
	// directory, or the one file, whose name is returned then.
	Files(ctx context.Context, from plan.Origin, layers []*layer.Layer, path string) (files layer.Delta, name string, err error)
}

// Caches gives the directories of cache mounts.
type Caches interface {
	// Acquire returns the directory of the cache id, held in the given sharing
	// mode until release. fill is called with a new directory before anybody
	// sees it.
	Acquire(ctx context.Context, id, sharing string, fill func(dir string) error) (dir string, release func() error, err error)
}

// Secrets gives the secrets of the build by id; ok is false for unknown ones.
type Secrets interface {
	Secret(id string) (content []byte, ok bool, err error)
}

// Agents gives SSH agents by id. Forward listens on a new socket until release
// and passes on what is said there.
type Agents interface {
	Forward(ctx context.Context, id string, owner Owner) (socket string, release func() error, ok bool, err error)
}

// Owner is who may use a file made for a mount.
type Owner struct {
	Mode     uint32
	UID, GID uint32
}

// Maker makes the processes of RUN instructions.
type Maker struct {
	Sources Sources
	Caches  Caches
	Secrets Secrets
	Agents  Agents
	// Scratch makes an empty directory below kiln's folder.
	Scratch func() (string, error)
	// ExtraHosts are lines added to /etc/hosts.
	ExtraHosts []string
}

// made is one mount ready to be shown.
type made struct {
	mount *proc.Mount // nil for a secret that is only a variable, or missing
	env   []string
	// agent is the socket of an SSH agent, "" for other mounts.
	agent   string
	release func() error
}

// Process returns what op runs. The caller calls release after the process has
// ended, whether or not it succeeded.
func (m *Maker) Process(ctx context.Context, op *plan.Run, origins Origins) (p proc.Spec, release func() error, err error) {
	p = proc.Spec{
		Args:       op.Args,
		Env:        slices.Clone(op.Env),
		Dir:        op.Dir,
		User:       op.User,
		Hostname:   op.Hostname,
		Network:    network(op.Network),
		Privileged: op.Insecure,
		ExtraHosts: m.ExtraHosts,
	}
	var releases []func() error
	release = func() (err error) {
		for _, f := range slices.Backward(releases) {
			err = errors.Join(err, f())
		}
		return err
	}
	for _, mount := range inOrder(op.Mounts) {
		made, err := m.make(ctx, mount, origins)
		if err != nil {
			return proc.Spec{}, nil, errors.Join(fmt.Errorf("mount %s at %s: %w", mount.Type, mount.Target, err), release())
		}
		if made.release != nil {
			releases = append(releases, made.release)
		}
		if made.mount != nil {
			p.Mounts = append(p.Mounts, *made.mount)
		}
		p.Env = append(p.Env, made.env...)
		if made.agent != "" && !isSet(p.Env, agentVariable) {
			p.Env = append(p.Env, agentVariable+"="+made.agent)
		}
	}
	return p, release, nil
}

// inOrder returns mounts by their targets, so that one below another is on top
// of it in whatever order they are written (BuildKit, client/llb/exec.go).
func inOrder(mounts []plan.Mount) []plan.Mount {
	return slices.SortedStableFunc(slices.Values(mounts), func(a, b plan.Mount) int {
		return strings.Compare(a.Target, b.Target)
	})
}

func (m *Maker) make(ctx context.Context, mount plan.Mount, origins Origins) (made, error) {
	switch mount.Type {
	case "bind":
		return m.bind(ctx, mount, origins)
	case "cache":
		return m.cache(ctx, mount, origins)
	case "tmpfs":
		return tmpfs(mount), nil
	case "secret":
		return m.secret(mount)
	case "ssh":
		return m.ssh(ctx, mount)
	case "file":
		return script(mount), nil
	}
	return made{}, fmt.Errorf("mount type %q is not known", mount.Type)
}

func isSet(env []string, key string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
}

func network(name string) proc.Network {
	if name == "default" {
		return proc.NetworkDefault
	}
	return proc.Network(name)
}

// owner returns the mode and owner a mount asks for, with the reference's
// defaults: 0:0 and the given mode.
func owner(mount plan.Mount, mode uint32) Owner {
	o := Owner{Mode: mode}
	if mount.Mode != nil {
		o.Mode = uint32(*mount.Mode)
	}
	if mount.UID != nil {
		o.UID = uint32(*mount.UID)
	}
	if mount.GID != nil {
		o.GID = uint32(*mount.GID)
	}
	return o
}
