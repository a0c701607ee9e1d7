package plan

import (
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
)

// Plan is what a build is going to do.
type Plan struct {
	// Stages holds the stages that Target needs, itself included, in the order
	// of the Dockerfile: every stage comes after those it needs.
	Stages []*Stage
	// Target is the stage whose image is the result.
	Target *Stage
	// Epoch is the time of all that is made, where SOURCE_DATE_EPOCH gives one;
	// nil for the time it is made at.
	Epoch *time.Time
}

// Stage is one FROM and what follows it.
type Stage struct {
	// Index counts the stages of the Dockerfile from 0.
	Index int
	// Name is the name given with AS, or "".
	Name string
	// At is where FROM stands.
	At Location
	// Base is what the stage starts from.
	Base Base
	// Platform is what the stage builds for.
	Platform ocispec.Platform
	// Steps are the stage's instructions in order, those of ONBUILD triggers
	// included where they fire.
	Steps []*Step
	// Key identifies the stage's starting state: that of its base.
	Key digest.Digest
}

// Config returns the image config after the stage's last step. The caller must
// not modify it.
func (s *Stage) Config() *dockerspec.DockerOCIImage {
	if n := len(s.Steps); n > 0 {
		return s.Steps[n-1].Config
	}
	return s.Base.Config
}

// Base is what a stage starts from: an image, an earlier stage, or nothing
// (scratch) where both are nil.
type Base struct {
	// Image is an image of a registry or a layout.
	Image *Image
	// Stage is an earlier stage.
	Stage *Stage
	// Config is the image config that the first step starts from.
	Config *dockerspec.DockerOCIImage
}

// Image is an image that exists already. Its layers are known by description
// only; nobody has downloaded them yet.
type Image struct {
	// Ref is the reference as written in the Dockerfile, expanded.
	Ref string
	// Name is the full name it stands for, digest included.
	Name string
	// Digest is that of the manifest for the platform asked for.
	Digest digest.Digest
	// MediaType is the manifest's.
	MediaType string
	// Config is its config.
	Config *dockerspec.DockerOCIImage
	// Layers are its layers, the lowest first.
	Layers []*layer.Layer
}

// Location is a place in the Dockerfile.
type Location struct {
	// File is the Dockerfile's name as the user gave it; for a step of an
	// ONBUILD trigger the place is that of the FROM it fired at.
	File string
	// Start and End are the first and last line, counted from 1.
	Start, End int
}

// Step is one instruction, resolved.
type Step struct {
	// Op is what is done to the layers; Meta for instructions that only change
	// the config.
	Op Op
	// Text is the instruction as the user reads it in progress output: name in
	// upper case, expanded.
	Text string
	// At is where it stands.
	At Location
	// Config is the image config after the step, without history, rootfs and
	// created. Shared between steps: do not modify.
	Config *dockerspec.DockerOCIImage
	// History is the entry it adds to the image's history, without time; nil
	// for those that add none (ARG adds one, as BuildKit does).
	History *ocispec.History
	// Key identifies the layer that the step makes: a function of all its
	// inputs, what is below included where it matters. Steps of equal keys make
	// equal layers. For a step without a layer it is that of the layers so far.
	Key digest.Digest
}

// Op is what a step does to the layers: one of Run, Copy, Workdir, Meta.
type Op interface{ op() }

// Meta changes no layer.
type Meta struct{}

// Run runs a process and keeps what it changed.
type Run struct {
	// Args is the full command line, with the shell where there is one.
	Args []string
	// Env is what the process sees: the config's ENV and the ARGs in scope.
	Env []string
	// HiddenEnv names those of Env that enter neither key nor history: the
	// predefined proxy ARGs that were not declared.
	HiddenEnv []string
	// Dir is the working directory, absolute.
	Dir string
	// User is that of USER, "" for root.
	User string
	// Mounts are those of --mount, in order.
	Mounts []Mount
	// Hostname is that of the process, "" for the default.
	Hostname string
	// Network is "default", "none" or "host".
	Network string
	// Insecure is RUN --security=insecure.
	Insecure bool
	// Devices are those of --device.
	Devices []Device
}

// Device is one RUN --device.
type Device struct {
	// Name is as the Container Device Interface writes it: vendor/class=name.
	Name string
	// Required fails the step if there is no such device.
	Required bool
}

// Mount is one RUN --mount, its fields expanded and its target absolute.
type Mount struct {
	// Type is "bind", "cache", "tmpfs", "secret", "ssh", or "file" for the
	// script of a RUN heredoc with an interpreter line.
	Type string
	// Target is where it is seen; "" for a secret only given as Env.
	Target string
	// From is what a bind or the first content of a cache comes from.
	From Origin
	// Source is the path in From, relative to its root, "" for the root itself.
	Source string
	// ReadOnly makes it read-only.
	ReadOnly bool
	// ID names a cache, secret or agent.
	ID string
	// Sharing is "shared", "private" or "locked" (cache).
	Sharing string
	// Required fails the step if the secret or agent is missing.
	Required bool
	// Env names the variable a secret is given in, "" for none.
	Env string
	// Size limits a tmpfs, in bytes, 0 for none.
	Size int64
	// Mode, UID, GID are those of the cache directory, secret or socket; nil
	// for the defaults of the reference.
	Mode     *uint64
	UID, GID *uint64
	// Content is that of a "file".
	Content []byte
}

// Copy is a COPY or an ADD.
type Copy struct {
	// Add tells ADD from COPY: archives are unpacked, URLs are fetched.
	Add bool
	// From is where Sources are looked up.
	From Origin
	// Sources are in the order of the instruction.
	Sources []Source
	// Dest is the destination, absolute; it ends in "/" (or "/.") if it was
	// written as a directory.
	Dest string
	// Chown is "user[:group]" as written, expanded, "" for none. Names are
	// looked up in the image being built.
	Chown string
	// Chmod is octal or symbolic as written, expanded, "" for none.
	Chmod string
	// Link makes the layer independent of what is below it.
	Link bool
	// Parents keeps the sources' parent directories.
	Parents bool
	// Excludes are patterns of what is left out.
	Excludes []string
	// Unpack is ADD --unpack; nil if not given.
	Unpack *bool
	// Checksum is ADD --checksum, "" for none.
	Checksum string
	// KeepGitDir is ADD --keep-git-dir.
	KeepGitDir bool
}

// Source is one source of a Copy: exactly one of its fields is set.
type Source struct {
	// Path is a path or pattern in Copy.From.
	Path string
	// Inline is the file of a heredoc.
	Inline *InlineFile
	// URL is a http(s) address.
	URL string
	// Git is a git remote in BuildKit's notation (URL#ref:dir).
	Git string
}

// InlineFile is a file written in the Dockerfile itself.
type InlineFile struct {
	Name    string
	Content []byte
}

// Origin is where files of a COPY or a mount come from: a stage, an image, or
// a source tree where both are nil.
type Origin struct {
	Stage *Stage
	Image *Image
	// Context names a source tree: "" is the build's own, others are those of
	// --build-context.
	Context string
}

// Workdir makes a directory if it is missing.
type Workdir struct {
	// Path is absolute and clean; never "/".
	Path string
	// User owns what is created, as in USER; "" for root.
	User string
}

func (Meta) op()     {}
func (*Run) op()     {}
func (*Copy) op()    {}
func (*Workdir) op() {}
