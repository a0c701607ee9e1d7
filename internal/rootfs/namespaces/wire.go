package namespaces

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

// InitName is the argv[0] under which a program that uses this package is
// started again as PID 1.
const InitName = "kiln-init"

// The descriptors of PID 1 beside the standard ones.
const (
	configFD = 3 // read: a config, then nothing until the parent is gone
	reportFD = 4 // written: reports
)

// config is what PID 1 is told.
type config struct {
	Root   rootfs.Tree
	Mounts []rootfs.Mount

	Args, Env                   []string
	Dir, User, Hostname         string
	Privileged, NetworkIsolated bool

	// Scratch is an empty directory of the host for this run alone. What PID
	// 1 makes in it the parent removes.
	Scratch string
	// Files are the paths of the host that /etc/resolv.conf and its like
	// show, by their path in the root.
	Files []file
	// Beside asks for no namespaces and no root; see [Isolation.Beside].
	Beside bool
	// Rehearse asks for everything but the process; see [Isolation.Rehearse].
	Rehearse bool
}

// file is a file of the host shown at Target.
type file struct{ Source, Target string }

func newConfig(job rootfs.Job, scratch string) config {
	p := job.Process
	return config{
		Root: job.Root, Mounts: job.Mounts,
		Args: p.Args, Env: p.Env, Dir: p.Dir, User: p.User, Hostname: p.Hostname,
		Privileged: p.Privileged, NetworkIsolated: p.Network == proc.NetworkNone,
		Scratch: scratch,
	}
}

// report is what PID 1 says, once, at its end.
type report struct {
	// Failed says what could not be set up; empty if the process was started.
	Failed string `json:",omitempty"`
	// Exit says how the process ended, or that it could not be executed.
	Exit *exit `json:",omitempty"`
	// Notes say what had to be done in another way than the usual one.
	Notes []string `json:",omitempty"`
}

// exit is a [proc.ExitError] on its way to the parent; Code 0 is success.
type exit struct {
	Code           int
	Signal, Reason string
}

func (e *exit) err() error {
	if e == nil || e.Code == 0 {
		return nil
	}
	return &proc.ExitError{Code: e.Code, Signal: e.Signal, Reason: e.Reason}
}

func send(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	if _, err := w.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write %T: %w", v, err)
	}
	return nil
}
