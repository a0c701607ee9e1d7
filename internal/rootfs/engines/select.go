package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/dir"
	"github.com/kiln-build/kiln/internal/rootfs/inplace"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/overlay"
)

// Store is what engines keep things in.
type Store interface {
	overlay.Store
	dir.Store
}

// Options say which engine is wanted.
type Options struct {
	// Name is that of an engine, "" for the best that works.
	Name string
	// Store is needed.
	Store Store
	// Container is what shows that kiln runs in a container, whose own root
	// filesystem may be taken apart where there is no other place to run
	// anything in; "" is that it does not. Force says that it may be anyway.
	Container string
	Force     bool
	// Keep are absolute paths that stay where they are then.
	Keep []string
}

// engine is one that can be chosen.
type engine struct {
	name  string
	probe func(ctx context.Context, c *candidates, scratch string) (notes []string, err error)
	make  func(c *candidates) rootfs.Engine
}

// all returns the engines, the best first.
func all() []engine {
	return []engine{
		{
			name: "overlay",
			probe: func(ctx context.Context, c *candidates, scratch string) ([]string, error) {
				return overlay.Probe(ctx, scratch, c.isolation, c.host.userXattr)
			},
			make: func(c *candidates) rootfs.Engine {
				return overlay.New(overlay.Options{
					Store: c.store, Isolation: c.isolation, UserXattr: c.host.userXattr, Unpack: c.host.unpackOptions(),
				})
			},
		}, {
			name: "chroot",
			probe: func(ctx context.Context, c *candidates, scratch string) ([]string, error) {
				return dir.Probe(ctx, scratch, c.isolation)
			},
			make: func(c *candidates) rootfs.Engine {
				return dir.New(dir.Options{Store: c.store, Isolation: c.isolation, Unpack: c.host.unpackOptions()})
			},
		}, {
			name:  inplace.Name,
			probe: probeInPlace,
			make: func(c *candidates) rootfs.Engine {
				return inplace.New(inplace.Options{
					Store: c.store, Runner: c.isolation, Keep: c.keep, Unpack: c.host.unpackOptions(),
				})
			},
		},
	}
}

// probeInPlace decides whether kiln's own root filesystem may be taken apart.
// That is not tried out.
func probeInPlace(_ context.Context, c *candidates, _ string) ([]string, error) {
	switch {
	case c.container == "" && !c.force:
		return nil, errors.New(inplace.NotInContainer)
	case os.Geteuid() != 0 || c.host.singleID:
		return nil, errors.New("the container's files can only be moved by root: run the container as user 0")
	case c.container == "":
		return []string{"the root filesystem of this machine is taken apart, as --force says"}, nil
	}
	return []string{"kiln is in a container (" + c.container + "); its own root filesystem is used"}, nil
}

// Names returns the names of all engines, the best first.
func Names() []string {
	var names []string
	for _, e := range all() {
		names = append(names, e.name)
	}
	return names
}

// candidates is what all engines are made of.
type candidates struct {
	store     Store
	isolation *namespaces.Isolation
	host      host
	container string
	force     bool
	keep      []string
}

// Select returns the first engine that works here, or the one that o names if
// that works. If there is none the error is a *NoEngineError.
func Select(ctx context.Context, o Options) (rootfs.Engine, Report, error) {
	wanted := all()
	if o.Name != "" {
		wanted = nil
		for _, e := range all() {
			if e.name == o.Name {
				wanted = append(wanted, e)
			}
		}
	}
	if len(wanted) == 0 {
		return nil, Report{}, fmt.Errorf("select engine: there is none named %q; there are %s", o.Name, strings.Join(Names(), ", "))
	}
	c := &candidates{
		store: o.Store, isolation: namespaces.New(o.Store),
		container: o.Container, force: o.Force, keep: o.Keep,
	}
	var err error
	if c.host, err = lookAtHost(o.Store); err != nil {
		return nil, Report{}, fmt.Errorf("select engine: %w", err)
	}
	return c.first(ctx, wanted)
}

func (c *candidates) first(ctx context.Context, wanted []engine) (rootfs.Engine, Report, error) {
	var report Report
	for _, e := range wanted {
		probe := Probe{Engine: e.name}
		probe.Notes, probe.Err = c.try(ctx, e)
		report.Probes = append(report.Probes, probe)
		if ctx.Err() != nil {
			return nil, report, context.Cause(ctx)
		}
		if probe.Err == nil {
			report.Chosen = e.name
			return e.make(c), report, nil
		}
	}
	return nil, report, &NoEngineError{Report: report}
}

func (c *candidates) try(ctx context.Context, e engine) (notes []string, err error) {
	scratch, err := c.store.Scratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	return e.probe(ctx, c, scratch)
}
