package image

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
)

func TestMediaTypesAreTranslated(t *testing.T) {
	for oci, docker := range map[string]string{
		"application/vnd.oci.image.layer.v1.tar":                       "application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip":                  "application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd":                  "application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	} {
		for _, from := range []string{oci, docker} {
			for _, to := range []struct {
				docker bool
				want   string
			}{{false, oci}, {true, docker}} {
				if got, err := translate(from, to.docker); err != nil || got != to.want {
					t.Errorf("translate %s (docker: %v) = %s, %v; want %s", from, to.docker, got, err, to.want)
				}
			}
		}
	}
	for _, other := range []string{"", "application/vnd.oci.image.layer.v1.tar+lz4", "application/vnd.oci.image.config.v1+json"} {
		if got, err := translate(other, false); err == nil || !strings.Contains(err.Error(), other) {
			t.Errorf("translate %q = %s, %v; want an error that names it", other, got, err)
		}
	}
}

// The layers of a base image keep their bytes; only what they are called
// changes, and what was said of them elsewhere goes.
func TestLayersOfABaseImageAreDescribedAnew(t *testing.T) {
	id := digest.FromString("layer")
	foreign := layer.Remote(ocispec.Descriptor{
		MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: id, Size: 7,
		URLs: []string{"https://example.com/layer"}, Annotations: map[string]string{"of": "the base"},
	}, id, nil, nil)
	img, err := Assemble(t.Context(), Source{Config: &dockerspec.DockerOCIImage{}, Layers: []*layer.Layer{foreign}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(img.Manifest.Bytes, &manifest); err != nil {
		t.Fatal(err)
	}
	got := manifest.Layers[0]
	if got.MediaType != "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" || got.Digest != id || got.Size != 7 ||
		len(got.URLs) != 1 || got.Annotations != nil {
		t.Errorf("layer is described as %+v", got)
	}
}

func TestImageWithoutLayers(t *testing.T) {
	img, err := Assemble(t.Context(), Source{Config: &dockerspec.DockerOCIImage{}}, Options{Created: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(img.Manifest.Bytes), `"layers":[]`) {
		t.Errorf("manifest = %s, want an empty list of layers", img.Manifest.Bytes)
	}
	if !strings.Contains(string(img.Config.Bytes), `"created":"1970-01-01T00:00:01Z"`) {
		t.Errorf("config = %s, want the time asked for, in UTC", img.Config.Bytes)
	}
}

func TestDockerImagesHaveNoAnnotations(t *testing.T) {
	_, err := Assemble(t.Context(), Source{Config: &dockerspec.DockerOCIImage{}}, Options{Docker: true, Annotations: map[string]string{"a": "b"}})
	if err == nil || !strings.Contains(err.Error(), "--format oci") {
		t.Errorf("error = %v, want it to say what to do", err)
	}
}

func TestAssembleDoesNotModifyItsSource(t *testing.T) {
	config := &dockerspec.DockerOCIImage{}
	config.Config.Labels = map[string]string{"a": "1"}
	history := []ocispec.History{{CreatedBy: "LABEL", EmptyLayer: true}}
	if _, err := Assemble(t.Context(), Source{Config: config, History: history}, Options{Labels: map[string]string{"b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if len(config.Config.Labels) != 1 || config.History != nil || history[0].Created != nil {
		t.Errorf("config is %+v and history %+v afterwards", config, history)
	}
}

// histories are written as "name@day", "name" without a time, "(name)" without
// a layer.
func TestHistoryIsCompleted(t *testing.T) {
	for name, c := range map[string]struct {
		layers        int
		history, want string
	}{
		"nothing":                              {0, "", ""},
		"complete":                             {1, "a@1 (b)@2", "a@1 (b)@2"},
		"config after a layer":                 {1, "a@1 (b)", "a@1 (b)@1"},
		"config before the first new layer":    {2, "base@1 (b) c@5 (d)", "base@1 (b)@5 c@5 (d)@5"},
		"config between two new layers":        {3, "base@1 a@5 (b) c@6", "base@1 a@5 (b)@6 c@6"},
		"only config on a base":                {1, "base@1 (b) (c)", "base@1 (b)@1 (c)@1"},
		"no times at all":                      {1, "a (b)", "a (b)"},
		"base without history":                 {2, "a@3", "?@3 a@3"},
		"base that claims too many layers":     {1, "base@1 more@1", "base@1 (more)@1"},
		"base without history, then no layers": {1, "(a)@3", "?@3 (a)@3"},
	} {
		if got := showHistory(completeHistory(parseHistory(c.history), c.layers)); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", name, c.history, got, c.want)
		}
	}
}

func parseHistory(text string) []ocispec.History {
	var history []ocispec.History
	for word := range strings.FieldsSeq(text) {
		var h ocispec.History
		name, day, timed := strings.Cut(word, "@")
		if timed {
			at := time.Date(2026, 1, int(day[0]-'0'), 0, 0, 0, 0, time.UTC)
			h.Created = &at
		}
		h.CreatedBy, h.EmptyLayer = strings.Trim(name, "()"), strings.HasPrefix(name, "(")
		history = append(history, h)
	}
	return history
}

func showHistory(history []ocispec.History) string {
	var words []string
	for _, h := range history {
		word := h.CreatedBy
		if word == "" {
			word = "?"
		}
		if h.EmptyLayer {
			word = "(" + word + ")"
		}
		if h.Created != nil {
			word += "@" + h.Created.Format("2")
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
