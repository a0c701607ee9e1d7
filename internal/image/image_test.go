package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/store"
	"github.com/kiln-build/kiln/internal/testenv"
	"github.com/kiln-build/kiln/internal/tree"
)

// delta is a layer's content, written down: paths that end in "/" are
// directories, those that begin with "-" whiteouts.
type delta struct {
	entries  []layer.Entry
	contents []string
}

func deltaOf(files ...string) *delta {
	d := &delta{}
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		e := layer.Entry{Path: name, Type: layer.Regular, Mode: 0o644, Size: int64(len(content)), ModTime: day(1)}
		switch {
		case strings.HasSuffix(name, "/"):
			e.Path, e.Type, e.Mode = strings.TrimSuffix(name, "/"), layer.Dir, 0o755
		case strings.HasPrefix(name, "-"):
			e = layer.Entry{Path: name[1:], Type: layer.Whiteout}
		}
		d.entries = append(d.entries, e)
		d.contents = append(d.contents, content)
	}
	return d
}

func (d *delta) Entries() []layer.Entry { return d.entries }
func (d *delta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(d.contents[i])), nil
}
func (d *delta) Stable() bool                { return true }
func (d *delta) Release(digest.Digest) error { return nil }

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func at(n int) *time.Time { t := day(n); return &t }

// newImage returns an image of two layers, of which the second deletes /old.
func newImage(t *testing.T, o image.Options) (*image.Image, tree.View) {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := layer.NewWriter(s, layer.Options{})
	layers := []*layer.Layer{
		w.Write(t.Context(), deltaOf("etc/", "etc/motd=welcome\n", "old=gone")),
		w.Write(t.Context(), deltaOf("new=here", "-old")),
	}
	config := &dockerspec.DockerOCIImage{}
	config.Platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	config.Config.Cmd = []string{"/bin/true"}
	img, err := image.Assemble(t.Context(), image.Source{
		Config: config, Layers: layers,
		History: []ocispec.History{{CreatedBy: "COPY a", Created: at(1)}, {CreatedBy: "RUN b", Created: at(2)}, {CreatedBy: "CMD", EmptyLayer: true}},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	contents := tree.NewContents(s)
	t.Cleanup(func() { contents.Close() })
	view, err := tree.Load(t.Context(), layers, contents)
	if err != nil {
		t.Fatal(err)
	}
	return img, view
}

// skopeo asks Debian's skopeo, another implementation, what it sees.
func skopeo(t *testing.T, ref string) (raw []byte) {
	t.Helper()
	testenv.RequireTool(t, "skopeo")
	out, err := exec.Command("skopeo", "inspect", "--raw", ref).Output()
	if err != nil {
		t.Fatalf("skopeo inspect %s: %v\n%s", ref, err, err.(*exec.ExitError).Stderr)
	}
	return out
}

func TestOutputsAreReadByOthers(t *testing.T) {
	for _, c := range []struct {
		name, scheme, suffix string
		docker               bool
		write                func(ctx context.Context, w io.Writer, img *image.Image, names []string) error
	}{
		{"oci archive", "oci-archive:", "", false, image.WriteOCI},
		{"oci archive of a docker image", "oci-archive:", "", true, image.WriteOCI},
		{"docker archive", "docker-archive:", "", true, image.WriteDocker},
	} {
		t.Run(c.name, func(t *testing.T) {
			img, _ := newImage(t, image.Options{Docker: c.docker})
			path := filepath.Join(t.TempDir(), "image.tar")
			err := image.Replace(path, func(w io.Writer) error {
				return c.write(t.Context(), w, img, []string{"registry.example.com/app:1"})
			})
			if err != nil {
				t.Fatal(err)
			}
			raw := skopeo(t, c.scheme+path+c.suffix)
			var manifest ocispec.Manifest
			if err := json.Unmarshal(raw, &manifest); err != nil {
				t.Fatal(err)
			}
			if len(manifest.Layers) != 2 || manifest.Config.Digest != img.Config.Digest {
				t.Errorf("skopeo reads %s, want two layers and the config %s", raw, img.Config.Digest)
			}
		})
	}
}

func TestLayoutKeepsOtherImagesAndReplacesItsOwn(t *testing.T) {
	dir := t.TempDir()
	first, _ := newImage(t, image.Options{Annotations: map[string]string{"n": "1"}})
	second, _ := newImage(t, image.Options{Annotations: map[string]string{"n": "2"}})
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

func TestFilesAreThoseOfTheImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files owned by root can only be written by root")
	}
	_, view := newImage(t, image.Options{})
	dir := filepath.Join(t.TempDir(), "out")
	if err := image.WriteFiles(t.Context(), dir, view); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.WriteTar(t.Context(), &archive, view); err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	tar := exec.Command("tar", "-xpf", "-", "-C", unpacked)
	tar.Stdin = &archive
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	for _, root := range []string{dir, unpacked} {
		for name, want := range map[string]string{"etc/motd": "welcome\n", "new": "here"} {
			if got, err := os.ReadFile(filepath.Join(root, name)); string(got) != want {
				t.Errorf("%s = %q, %v; want %q", name, got, err, want)
			}
		}
		if _, err := os.Lstat(filepath.Join(root, "old")); err == nil {
			t.Error("a deleted file is written")
		}
	}
}

func TestAnImageIsOfOneVendor(t *testing.T) {
	for _, docker := range []bool{false, true} {
		img, _ := newImage(t, image.Options{Docker: docker})
		all := append([]ocispec.Descriptor{img.Manifest.Descriptor, img.Config.Descriptor}, img.Descriptors...)
		for _, desc := range all {
			if strings.Contains(desc.MediaType, "docker") != docker {
				t.Errorf("image with docker = %v has a part of type %s", docker, desc.MediaType)
			}
		}
	}
}

func TestAssembleIsAFunction(t *testing.T) {
	a, _ := newImage(t, image.Options{Annotations: map[string]string{"x": "1", "y": "2"}})
	b, _ := newImage(t, image.Options{Annotations: map[string]string{"y": "2", "x": "1"}})
	if a.Manifest.Digest != b.Manifest.Digest {
		t.Errorf("the same image has the digests %s and %s", a.Manifest.Digest, b.Manifest.Digest)
	}
}

func TestStepsWithoutALayerGetTheTimeOfTheirNeighbours(t *testing.T) {
	img, _ := newImage(t, image.Options{Created: day(9)})
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
