package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// NoPlatformError says that an image exists, but not for the platform that was
// asked for.
type NoPlatformError struct {
	// Image is its full name.
	Image string
	// Wanted is the platform asked for, Available are those there are.
	Wanted    string
	Available []string
}

// Error names the platforms.
func (e *NoPlatformError) Error() string {
	return fmt.Sprintf("%s is not made for %s, only for %s", e.Image, e.Wanted, strings.Join(e.Available, ", "))
}

// Hint names the flag.
func (e *NoPlatformError) Hint() string { return "build for one of these with --platform" }

// choose returns the manifest of an index that fits the platform best, by the
// rules of containerd, as BuildKit does: linux/arm/v7 also takes arm/v6.
// Manifests that do not name a platform are taken if there is nothing better.
func choose(index *document, platform ocispec.Platform) (ocispec.Descriptor, bool) {
	match := platforms.Only(platform)
	var fitting, unnamed []ocispec.Descriptor
	for _, m := range index.Manifests {
		switch {
		case m.Platform == nil:
			unnamed = append(unnamed, m)
		case match.Match(*m.Platform):
			fitting = append(fitting, m)
		}
	}
	slices.SortStableFunc(fitting, func(a, b ocispec.Descriptor) int {
		return cmp.Compare(rank(match.Less(*a.Platform, *b.Platform)), rank(match.Less(*b.Platform, *a.Platform)))
	})
	if all := append(fitting, unnamed...); len(all) > 0 {
		return all[0], true
	}
	return ocispec.Descriptor{}, false
}

// rank puts what is less first.
func rank(less bool) int {
	if less {
		return 0
	}
	return 1
}

// platformNames lists what an index has images for. Attestations have the
// platform "unknown/unknown".
func platformNames(index *document) []string {
	var names []string
	for _, m := range index.Manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" {
			names = append(names, platforms.Format(*m.Platform))
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return []string{"nothing"}
	}
	return names
}
