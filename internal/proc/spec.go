package proc

import (
	"io"

	"github.com/kiln-build/kiln/internal/layer"
)

// Spec is one process to run in a root filesystem.
type Spec struct {
	// Args is the command line; Args[0] is looked up in the PATH of Env when
	// it has no slash, inside the root.
	Args []string
	// Env holds KEY=value pairs, complete but for HOME, which the engine adds
	// from the root's /etc/passwd when it is missing.
	Env []string
	// Dir is the absolute working directory inside the root. It is created
	// (0755, root) when it is missing.
	Dir string
	// User is "name|uid[:group|gid]" as in the USER instruction, "" for root.
	// Names are looked up in the root's own /etc/passwd and /etc/group.
	User string
	// Hostname inside the process's UTS namespace, where there is one.
	Hostname string
	// ExtraHosts are lines "address name" added to the /etc/hosts it sees.
	ExtraHosts []string
	// Network says what of the network the process sees.
	Network Network
	// Privileged keeps all capabilities of the engine and unmasks /proc and
	// /sys (RUN --security=insecure).
	Privileged bool
	// Mounts are applied in order.
	Mounts []Mount
	// Stdout and Stderr receive the output. stdin is always empty.
	Stdout, Stderr io.Writer
}

// Network says what of the network a process sees.
type Network string

// The values of RUN --network; NetworkDefault is the host's network, as kiln
// creates no networks of its own.
const (
	NetworkDefault Network = ""
	NetworkHost    Network = "host"
	NetworkNone    Network = "none"
)

// Mount is something a process sees at Target that is not part of its root
// filesystem. Nothing of it, and not the stub made for it, is ever part of a
// layer.
type Mount struct {
	// Target is absolute inside the root.
	Target string
	// ReadOnly makes a bind mount read-only; writes fail.
	ReadOnly bool
	// Source is what is shown there.
	Source MountSource
}

// MountSource is what a mount shows: a path of the host, a path in the root
// filesystem that Layers make, a Tmpfs, or a File.
type MountSource struct {
	// Path is a file or directory of the host, or, where Layers is set, the
	// absolute path inside them; symbolic links in it are resolved inside.
	Path string
	// Layers make the root filesystem that Path is in, the lowest first.
	Layers []*layer.Layer
	// Discard makes writes below Path succeed and vanish with the process
	// (RUN --mount=type=bind,rw).
	Discard bool
	// Tmpfs is an empty file system of its own.
	Tmpfs *Tmpfs
	// File is a file that exists for this process only.
	File *File
}

// File is a regular file that exists only while a process runs: a secret, the
// script of a heredoc. Engines keep it off the disk where they can.
type File struct {
	Content  []byte
	Mode     uint32
	UID, GID uint32
}

// Tmpfs describes an empty file system in memory.
type Tmpfs struct {
	// Size is its limit in bytes, 0 for the kernel's default.
	Size int64
	// Mode holds the permission bits of its root.
	Mode uint32
}
