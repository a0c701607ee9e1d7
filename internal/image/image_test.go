package image_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/testenv"
)

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func at(n int) *time.Time { t := day(n); return &t }

// newImage returns an image of two layers.
func newImage(t *testing.T, o image.Options) *image.Image {
	t.Helper()
	w := layer.NewWriter(openStore(t), layer.Options{})
	config := &dockerspec.DockerOCIImage{}
	config.Platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	img, err := image.Assemble(t.Context(), image.Source{
		Config: config,
		Layers: []*layer.Layer{w.Write(t.Context(), sample{{Path: "a", Type: layer.Regular}}), w.Write(t.Context(), layer.Empty{})},
		History: []ocispec.History{
			{CreatedBy: "COPY a", Created: at(1)}, {CreatedBy: "RUN b", Created: at(2)}, {CreatedBy: "CMD", EmptyLayer: true},
		},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// skopeo asks Debian's skopeo, another implementation, what it sees.
func skopeo(t *testing.T, ref string) (raw []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testenv.RequireTool(t, "skopeo"), "inspect", "--raw", ref)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("skopeo inspect %s: %v", ref, err)
	}
	return raw
}

func TestLayoutKeepsOtherImagesAndReplacesItsOwn(t *testing.T) {
	dir := t.TempDir()
	first := newImage(t, image.Options{Annotations: map[string]string{"n": "1"}})
	second := newImage(t, image.Options{Annotations: map[string]string{"n": "2"}})
	for _, write := range []struct {
		img  *image.Image
		name string
	}{{first, "app:a"}, {first, "app:b"}, {second, "app:a"}} {
		if err := image.WriteLayout(t.Context(), dir, write.img, []string{write.name}); err != nil {
			t.Fatal(err)
		}
	}
	for tag, img := range map[string]*image.Image{"a": second, "b": first} {
		if raw := skopeo(t, "oci:"+dir+":"+tag); !bytes.Equal(raw, img.Manifest.Bytes) {
			t.Errorf("layout has under %s:\n%s\nwant\n%s", tag, raw, img.Manifest.Bytes)
		}
	}
}

func TestAnImageIsOfOneVendor(t *testing.T) {
	for _, docker := range []bool{false, true} {
		img := newImage(t, image.Options{Docker: docker})
		all := append([]ocispec.Descriptor{img.Manifest.Descriptor, img.Config.Descriptor}, img.Descriptors...)
		for _, desc := range all {
			if strings.Contains(desc.MediaType, "docker") != docker {
				t.Errorf("image with docker = %v has a part of type %s", docker, desc.MediaType)
			}
		}
	}
}

func TestAssembleIsAFunction(t *testing.T) {
	a := newImage(t, image.Options{Annotations: map[string]string{"x": "1", "y": "2"}})
	b := newImage(t, image.Options{Annotations: map[string]string{"y": "2", "x": "1"}})
	if a.Manifest.Digest != b.Manifest.Digest {
		t.Errorf("the same image has the digests %s and %s", a.Manifest.Digest, b.Manifest.Digest)
	}
}

func TestStepsWithoutALayerGetTheTimeOfTheirNeighbours(t *testing.T) {
	img := newImage(t, image.Options{Created: day(9)})
	var config dockerspec.DockerOCIImage
	if err := json.Unmarshal(img.Config.Bytes, &config); err != nil {
		t.Fatal(err)
	}
	if got := config.History[2].Created; got == nil || !got.Equal(day(2)) {
		t.Errorf("time of CMD after a RUN of %s = %v", day(2), got)
	}
	if got := config.Created; got == nil || !got.Equal(day(2)) {
		t.Errorf("image created %v, want the time of its last layer", got)
	}
}

func TestAFailedWriteLeavesWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := image.Replace(path, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return io.ErrUnexpectedEOF
	})
	if err == nil {
		t.Fatal("no error")
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content = %q, want what was there before", got)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
