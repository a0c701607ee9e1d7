package dockerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// Where images of named contexts are.
const (
	dockerImage = "docker-image://"
	ociLayout   = "oci-layout://"
)

// setContexts makes the names of the named contexts comparable to those that
// instructions use: "docker.io/library/alpine:latest" is "alpine".
func (r *resolver) setContexts() error {
	r.contexts = make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(r.opts.Contexts)) {
		familiar, err := contextName(name)
		if err != nil {
			return r.file.fail(nil, "named context %q", name).because(err).
				hint("it is named as a stage or an image is")
		}
		r.contexts[familiar] = name
	}
	return nil
}

func contextName(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(reference.FamiliarString(named), ":latest"), nil
}

// contextFor returns the named context that takes the place of a stage or an
// image, "" for none.
func (r *resolver) contextFor(name string) string {
	if strings.EqualFold(name, scratch) || strings.EqualFold(name, "context") {
		return "" // these two cannot be replaced
	}
	familiar, err := contextName(name)
	if err != nil {
		return ""
	}
	return r.contexts[familiar]
}

// contextImage returns the reference of the image that a named context is; ok
// is false for a source tree.
func (r *resolver) contextImage(context string) (ref string, ok bool) {
	where := r.opts.Contexts[context]
	if ref, ok := strings.CutPrefix(where, dockerImage); ok {
		return ref, true
	}
	return where, strings.HasPrefix(where, ociLayout)
}
