package registry

import (
	"fmt"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
)

// dockerHub is what users call the registry that is meant where none is named.
const dockerHub = "docker.io"

func isDockerHub(host string) bool {
	return host == dockerHub || host == name.DefaultRegistry || host == "registry-1.docker.io"
}

// hostName returns the registry of repo as users write it.
func hostName(repo name.Repository) string {
	if host := repo.RegistryStr(); !isDockerHub(host) {
		return host
	}
	return dockerHub
}

// parsed is the name of an image, in full.
type parsed struct {
	repo   name.Repository
	tag    string        // "" if only a digest was given
	digest digest.Digest // "" if none was given
	named  reference.Named
}

// parse reads a name as docker does: "debian" is
// "docker.io/library/debian:latest".
func parse(ref string) (parsed, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return parsed{}, fmt.Errorf("image name %q: %w", ref, err)
	}
	p := parsed{named: reference.TagNameOnly(named)}
	host, err := name.NewRegistry(reference.Domain(named))
	if err != nil {
		return parsed{}, fmt.Errorf("image name %q: %w", ref, err)
	}
	p.repo = host.Repo(reference.Path(named))
	if tagged, ok := p.named.(reference.Tagged); ok {
		p.tag = tagged.Tag()
	}
	if pinned, ok := p.named.(reference.Digested); ok {
		p.digest = pinned.Digest()
	}
	return p, nil
}

// pinned returns the full name with the digest d.
func (p parsed) pinned(d digest.Digest) string {
	full := p.named.Name()
	if p.tag != "" {
		full += ":" + p.tag
	}
	return full + "@" + d.String()
}
