package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/testenv"
)

func TestResolveReadsManifestAndConfigOnly(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushBase(t, r, "team/base:1", 1000, 2000)
	image := resolve(t, newClient(t, openStore(t), registry.Options{}), ref)
	checkCount(t, r, 1, testenv.ManifestHead)
	checkCount(t, r, 1, testenv.ManifestGet)
	checkCount(t, r, 1, testenv.BlobGet) // the config

	if len(image.Layers) != 2 || len(image.Config.History) != 2 || image.Config.Config.Cmd[0] != "sh" {
		t.Errorf("image = %+v", image)
	}
	if image.Ref != ref || image.Name != ref+"@"+image.Digest.String() || image.MediaType != ocispec.MediaTypeImageManifest {
		t.Errorf("image is named %s, %s, %s", image.Ref, image.Name, image.MediaType)
	}
	diffID, err := image.Layers[1].DiffID(t.Context())
	if err != nil || diffID != image.Config.RootFS.DiffIDs[1] {
		t.Errorf("diff ID of layer 2 = %s, %v", diffID, err)
	}
}

func TestResolveAgainCostsOneRequest(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushBase(t, r, "base:1", 1000)
	s := openStore(t)
	first := resolve(t, newClient(t, s, registry.Options{}), ref)

	r.Reset()
	resolve(t, newClient(t, s, registry.Options{}), ref)
	checkCount(t, r, 1, testenv.ManifestHead)
	checkCount(t, r, 0, testenv.ManifestGet, testenv.BlobGet, testenv.BlobHead)

	r.Reset()
	resolve(t, newClient(t, s, registry.Options{}), first.Name)
	if n := len(r.Requests()); n != 0 {
		t.Errorf("a known digest costs %d requests: %v", n, r.Requests())
	}
}

// The stages of one build see one image, the next build sees the new one.
func TestResolveFollowsATagThatMoves(t *testing.T) {
	r := testenv.Registry(t)
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	first := resolve(t, c, pushBase(t, r, "base:1", 1000))
	ref := pushBase(t, r, "base:1", 1000)
	same := resolve(t, c, ref)
	if first.Digest != same.Digest || first.Layers[0] != same.Layers[0] {
		t.Error("the tag has moved within a build")
	}
	c = newClient(t, s, registry.Options{})
	if next := resolve(t, c, ref); first.Digest == next.Digest {
		t.Error("the tag has moved and still resolves to the same image")
	}
	if pinned := resolve(t, c, first.Name); pinned.Digest != first.Digest {
		t.Errorf("%s resolves to %s", first.Name, pinned.Digest)
	}
}

// pushIndex pushes an index with one image for each platform.
func pushIndex(t *testing.T, r *testenv.RegistryServer, repositoryTag string, platforms ...string) string {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			t.Fatal(err)
		}
		image, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.ConfigFile(image, configFor(t, image, platform)); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	ref, err := name.ParseReference(r.Ref(repositoryTag))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	return ref.String()
}

func configFor(t *testing.T, image v1.Image, p *v1.Platform) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	return config
}

func TestResolveChoosesThePlatform(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushIndex(t, r, "multi:1", "unknown/unknown", "linux/arm/v5", "linux/arm/v6", "linux/amd64", "linux/arm64/v8", "windows/amd64")
	c := newClient(t, openStore(t), registry.Options{})
	for wanted, got := range map[string]string{
		"linux/amd64":    "linux/amd64",
		"linux/arm64":    "linux/arm64/v8",
		"linux/arm64/v8": "linux/arm64/v8",
		"linux/arm/v7":   "linux/arm/v6",
		"linux/arm/v5":   "linux/arm/v5",
	} {
		image, err := c.Resolve(t.Context(), ref, platforms.MustParse(wanted))
		if err != nil {
			t.Errorf("%v: %v", wanted, err)
			continue
		}
		p := image.Config.Platform
		if is := strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/"); is != got {
			t.Errorf("%v resolves to %s, want %s", wanted, is, got)
		}
	}
}

func TestResolveListsThePlatformsThereAre(t *testing.T) {
	r := testenv.Registry(t)
	ref := pushIndex(t, r, "multi:1", "unknown/unknown", "linux/arm64", "linux/amd64")
	c := newClient(t, openStore(t), registry.Options{})
	_, err := c.Resolve(t.Context(), ref, ocispec.Platform{OS: "linux", Architecture: "s390x"})
	var missing *registry.NoPlatformError
	if !errors.As(err, &missing) {
		t.Fatalf("error = %v, want a NoPlatformError", err)
	}
	if !strings.Contains(err.Error(), "not made for linux/s390x, only for linux/amd64, linux/arm64") {
		t.Errorf("error = %v, want it to name the platforms", err)
	}
}

func TestResolveErrorsSayWhatIsWrong(t *testing.T) {
	t.Run("no such tag", func(t *testing.T) {
		r := testenv.Registry(t)
		pushBase(t, r, "base:1", 10)
		_, err := newClient(t, openStore(t), registry.Options{}).Resolve(t.Context(), r.Ref("base:2"), amd64)
		if !errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrUnauthorized) {
			t.Errorf("error = %v, want ErrNotFound", err)
		}
		if text := err.Error(); !strings.Contains(text, r.Addr+"/base") || !strings.Contains(text, "404") || !strings.Contains(text, "manifest unknown") {
			t.Errorf("error = %v, want host, repository, status and the registry's words", err)
		}
	})
	t.Run("no right", func(t *testing.T) {
		r := testenv.Registry(t, onlyFor(func(q *http.Request) bool { return strings.Contains(q.URL.Path, "/manifests/") },
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`))
			}))
		_, err := newClient(t, openStore(t), registry.Options{}).Resolve(t.Context(), r.Ref("base:1"), amd64)
		if !errors.Is(err, registry.ErrUnauthorized) || !strings.Contains(err.Error(), "requested access to the resource is denied (without credentials)") {
			t.Errorf("error = %v, want ErrUnauthorized, the registry's words and the credentials", err)
		}
	})
	t.Run("no image", func(t *testing.T) {
		r := testenv.Registry(t)
		chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
		ref := r.PushImage(t, "chart:1", chart)
		_, err := newClient(t, openStore(t), registry.Options{}).Resolve(t.Context(), ref, amd64)
		if err == nil || !strings.Contains(err.Error(), "helm") {
			t.Errorf("error = %v, want it to say what this is", err)
		}
	})
	t.Run("no name", func(t *testing.T) {
		_, err := newClient(t, openStore(t), registry.Options{}).Resolve(t.Context(), "Not A Name", amd64)
		if err == nil || !strings.Contains(err.Error(), `"Not A Name"`) {
			t.Errorf("error = %v, want it to repeat the name", err)
		}
	})
}

// A registry, or who stands in front of it, must not be able to give out
// another image than the one that is pinned.
func TestResolveVerifiesDigests(t *testing.T) {
	changed := false
	r := testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if changed && q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/manifests/") {
				_, _ = w.Write([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`))
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	ref := pushBase(t, r, "base:1", 10)
	pinned := resolve(t, newClient(t, openStore(t), registry.Options{}), ref).Name
	changed = true
	for _, ref := range []string{ref, pinned} {
		if _, err := newClient(t, openStore(t), registry.Options{}).Resolve(t.Context(), ref, amd64); err == nil || !strings.Contains(err.Error(), "digest") {
			t.Errorf("resolve %s: %v, want a complaint about the digest", ref, err)
		}
	}
}
