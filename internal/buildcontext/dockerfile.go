package buildcontext

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxDockerfile bounds what is read of a Dockerfile, so that a wrong -f does
// not fill the memory.
const maxDockerfile = 16 << 20

// Dockerfile is a Dockerfile as it was found.
type Dockerfile struct {
	// Name is the name for messages.
	Name string
	// Path is the file, "" for one that was read from stdin.
	Path string
	// Content is its text.
	Content []byte
}

// ReadDockerfile reads the Dockerfile name for the source tree dir: "" is
// Dockerfile (or dockerfile) in dir, "-" is stdin, anything else is a path as
// the user's shell sees it or, failing that, in dir. What .dockerignore says
// about it does not matter.
func ReadDockerfile(dir, name string, stdin io.Reader) (Dockerfile, error) {
	if name == "-" {
		content, err := readAll(stdin)
		if err != nil {
			return Dockerfile{}, fmt.Errorf("read Dockerfile from stdin: %w", err)
		}
		return Dockerfile{Name: "Dockerfile", Content: content}, nil
	}
	var candidates []string
	switch {
	case name == "":
		candidates = []string{filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "dockerfile")}
	case filepath.IsAbs(name):
		candidates = []string{name}
	default:
		candidates = []string{name, filepath.Join(dir, name)}
	}
	for _, path := range candidates {
		content, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Dockerfile{}, fmt.Errorf("read Dockerfile: %w", err)
		}
		return Dockerfile{Name: displayName(path, name), Path: path, Content: content}, nil
	}
	return Dockerfile{}, &MissingDockerfileError{Path: candidates[0], Named: name != ""}
}

// MissingDockerfileError is returned where there is no Dockerfile.
type MissingDockerfileError struct {
	// Path is where it was looked for first.
	Path string
	// Named is false if the user did not name a file.
	Named bool
}

// Error implements error.
func (e *MissingDockerfileError) Error() string {
	msg := fmt.Sprintf("read Dockerfile: %s does not exist", e.Path)
	if !e.Named {
		msg += "; name it with -f"
	}
	return msg
}

// Unwrap makes it an [fs.ErrNotExist].
func (e *MissingDockerfileError) Unwrap() error { return fs.ErrNotExist }

func displayName(path, name string) string {
	if name == "" {
		return filepath.Base(path)
	}
	return name
}

func readFile(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readAll(f)
}

func readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	if err == nil && len(content) > maxDockerfile {
		return nil, fmt.Errorf("larger than %d MiB", maxDockerfile>>20)
	}
	return content, err
}
