package build

import (
	"io"
	"log/slog"
	"os"

	"github.com/kiln-build/kiln/internal/progress"
)

// Options is everything a build is told. It travels as one value from the
// command line to the rooms, each of which reads what is its own.
type Options struct {
	// Context is where the source tree comes from: a directory.
	Context string
	// Dockerfile is its path, "-" for Stdin, "" for Dockerfile in the context.
	Dockerfile string
	// Stdin is read where a Dockerfile or context is "-".
	Stdin io.Reader
	// Stdout is where outputs go whose Dest is "-", and the plan of a DryRun.
	Stdout io.Writer
	// Target names the stage to build, "" for the last.
	Target string
	// BuildArgs are those of --build-arg; a nil value is "from the
	// environment, where it is set" and has been resolved by the command line.
	BuildArgs map[string]string
	// Labels and Annotations are added to the result.
	Labels, Annotations map[string]string
	// Platform is what to build for, "" for this machine's.
	Platform string

	// Tags are the references the image is pushed to, and named by in outputs.
	Tags []string
	// Push sends the image to Tags.
	Push bool
	// Outputs are those of --output.
	Outputs []Output
	// Format is "oci", "docker", or "" for the default.
	Format string
	// Compression is "gzip", "zstd" or "none"; Level its level, 0 for the
	// default.
	Compression      string
	CompressionLevel int

	// Keep are paths that the caller needs during the build, or writes to after
	// it: the engine inplace leaves them alone.
	Keep []string
	// DryRun prints the plan to Stdout and does nothing of it.
	DryRun bool
	// NoCache does every step again.
	NoCache bool
	// Engine is an engine's name, "" for the best that works here.
	Engine string
	// Container is what shows that kiln runs in a container, "" if nothing
	// does. Only in one, or with Force, its own root filesystem may be used.
	Container string
	Force     bool
	// Root is kiln's folder.
	Root string
	// InsecureRegistries are hosts that are spoken to in HTTP, or HTTPS
	// without verification.
	InsecureRegistries []string
	// CredentialFiles are where credentials for registries are looked up.
	CredentialFiles []string

	// Secrets are those of --secret, by id.
	Secrets map[string]Secret
	// SSH holds, by the id given to --ssh, the socket of an agent or the files
	// of private keys.
	SSH map[string][]string
	// Contexts are the named contexts of --build-context: a directory, or
	// docker-image://REF.
	Contexts map[string]string

	// Progress is told what happens; Log is for people who look for faults.
	Progress *progress.Reporter
	Log      *slog.Logger
}

// Output is one --output.
type Output struct {
	// Type is "oci", "docker", "oci-layout", "local" or "tar".
	Type string
	// Dest is a path; "-" is the standard output, for those that are one file.
	Dest string
}

// Result is what a build made.
type Result struct {
	// Digest is the manifest's digest, "sha256:…".
	Digest string
	// ConfigDigest is the config's digest, the image ID of docker.
	ConfigDigest string
	// MediaType and Size describe the manifest.
	MediaType string
	Size      int64
	// Refs are the names the image was pushed to.
	Refs []string
}

// Secret is a value for steps that is never part of an image: that of a file,
// read when it is needed, or Value where File is "".
type Secret struct {
	File  string
	Value []byte
}

// Read returns the secret.
func (s Secret) Read() ([]byte, error) {
	if s.File == "" {
		return s.Value, nil
	}
	return os.ReadFile(s.File)
}
