package dockerfile

import (
	"maps"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// image is an image config.
type image = dockerspec.DockerOCIImage

// defaultPath is PATH where the base has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// edit returns c as change leaves it; c stays as it is. change may replace what
// the fields hold, but not modify it: it is shared.
func edit(c *image, change func(*image)) *image {
	other := *c
	change(&other)
	return &other
}

// scratchConfig is the config of no image.
func scratchConfig(p ocispec.Platform) *image {
	c := platformConfig(p)
	c.Config.WorkingDir = "/"
	c.Config.Env = []string{"PATH=" + defaultPath}
	return c
}

// platformConfig is a config that says nothing but its platform.
func platformConfig(p ocispec.Platform) *image {
	c := new(image)
	c.Platform = ocispec.Platform{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
		OSVersion: p.OSVersion, OSFeatures: slices.Clone(p.OSFeatures),
	}
	return c
}

// baseConfig returns the config that a stage starts with, on a base that has
// config c: what belongs to the base alone is left out, and PATH is always set.
func baseConfig(c *image) *image {
	return edit(c, func(c *image) {
		c.Created, c.History, c.RootFS = nil, nil, ocispec.RootFS{}
		c.Config.OnBuild = nil
		if _, has := parseEnv(c.Config.Env).Get("PATH"); !has {
			c.Config.Env = append(slices.Clip(c.Config.Env), "PATH="+defaultPath)
		}
	})
}

// parseEnv reads the variables of a config.
func parseEnv(list []string) env {
	e := make(env, 0, len(list))
	for _, entry := range list {
		key, value, _ := strings.Cut(entry, "=")
		if _, again := e.Get(key); again {
			e = e.without(key)
		}
		e = append(e, variable{key, value})
	}
	return e
}

// setVariable returns list with key set to value, in its place if it is there.
func setVariable(list []string, key, value string) []string {
	list = slices.Clone(list)
	for i, entry := range list {
		if k, _, _ := strings.Cut(entry, "="); k == key {
			list[i] = key + "=" + value
			return list
		}
	}
	return append(list, key+"="+value)
}

// setKeys returns m with keys added.
func setKeys(m map[string]struct{}, keys []string) map[string]struct{} {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[string]struct{})
	}
	for _, key := range keys {
		m[key] = struct{}{}
	}
	return m
}
