package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/kiln-build/kiln/internal/build"
)

// maxDockerfile limits what is read from stdin, in bytes. It is far above any
// Dockerfile, and keeps an archive sent by mistake out of the memory.
const maxDockerfile = 16 << 20

// dockerfileText reads the Dockerfile again, for the lines that an error shows.
type dockerfileText func() ([]byte, error)

// keepDockerfile returns the Dockerfile of a build. One on stdin can be read
// only once, so it is read here and handed on.
func keepDockerfile(opts *build.Options) (dockerfileText, error) {
	if opts.Dockerfile != "-" {
		path := dockerfilePath(opts)
		return func() ([]byte, error) { return os.ReadFile(path) }, nil
	}
	content, err := io.ReadAll(io.LimitReader(opts.Stdin, maxDockerfile+1))
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile from stdin: %w", err)
	}
	if len(content) > maxDockerfile {
		return nil, misuse("stdin has to be the Dockerfile itself; an archive is not supported yet",
			"what is on stdin is too big for a Dockerfile")
	}
	opts.Stdin = bytes.NewReader(content)
	return func() ([]byte, error) { return content, nil }, nil
}
