package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// folder is a store for tests.
type folder struct {
	unpacked map[digest.Digest]string
	scratch  string
}

func (f folder) LayerDir(id digest.Digest) (string, bool) {
	dir, ok := f.unpacked[id]
	return dir, ok
}

func (f folder) Scratch() (string, error) { return f.scratch, nil }

// blob is a layer's blob that counts how often it is read.
type blob struct {
	data  []byte
	opens atomic.Int32
}

func (b *blob) Open(context.Context) (io.ReadCloser, error) {
	b.opens.Add(1)
	return io.NopCloser(bytes.NewReader(b.data)), nil
}

// blobOf makes a layer of files, each with its name as content.
func blobOf(t *testing.T, names ...string) (*layer.Layer, *blob) {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for _, name := range names {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(name))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := &blob{data: data.Bytes()}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(b.data), Size: int64(len(b.data))}
	return layer.Remote(desc, desc.Digest, b, nil), b
}

func requireContent(t *testing.T, c tree.Contents, l *layer.Layer, path, want string) {
	t.Helper()
	r, err := c.Open(t.Context(), l, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("%s reads %q, error %v; want %q", path, got, err, want)
	}
}

func TestContentsReadABlobOnce(t *testing.T) {
	l, b := blobOf(t, "a", "b", "d/c", "unwanted")
	store := folder{scratch: t.TempDir()}
	c := tree.NewContents(store)
	c.Expect(l, []string{"a", "d/c"})
	c.Expect(l, []string{"b"})
	for _, path := range []string{"d/c", "a", "b", "a"} {
		requireContent(t, c, l, path, path)
	}
	if n := b.opens.Load(); n != 1 {
		t.Errorf("the blob was read %d times", n)
	}
	requireContent(t, c, l, "unwanted", "unwanted") // nobody said so: again
	if _, err := c.Open(t.Context(), l, "gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(store.scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestContentsVerifyTheBlob(t *testing.T) {
	l, b := blobOf(t, "a", "b")
	i := bytes.IndexByte(b.data[512:], 'a') // the content of a, not its name
	b.data[512+i] = 'x'
	c := tree.NewContents(folder{scratch: t.TempDir()})
	defer c.Close()
	if _, err := c.Open(t.Context(), l, "a"); err == nil {
		t.Error("a blob with other bytes than its diff ID was believed")
	}
}

func TestContentsPreferTheUnpackedLayer(t *testing.T) {
	l, b := blobOf(t, "d/a")
	id, err := l.DiffID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d/a"), []byte("d/a"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := tree.NewContents(folder{unpacked: map[digest.Digest]string{id: dir}})
	defer c.Close()
	requireContent(t, c, l, "d/a", "d/a")
	if b.opens.Load() != 0 {
		t.Error("the blob was read")
	}
	// Whatever is in the folder, nothing outside it is read.
	if err := os.Symlink("/etc", filepath.Join(dir, "e")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), l, "e/passwd"); err == nil {
		t.Error("a link led out of the layer's folder")
	}
}

func TestTreeExpects(t *testing.T) {
	lower, lowerBlob := blobOf(t, "a", "b", "c")
	upper, upperBlob := blobOf(t, "b")
	c := tree.NewContents(folder{scratch: t.TempDir()})
	defer c.Close()
	shown, err := tree.Load(t.Context(), []*layer.Layer{lower, upper}, c)
	if err != nil {
		t.Fatal(err)
	}
	before := lowerBlob.opens.Load() + upperBlob.opens.Load() // their indexes
	shown.Expect([]string{"a", "b", "c", "gone"})
	for _, path := range []string{"c", "b", "a"} {
		r, err := shown.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != path {
			t.Errorf("%s reads %q, %v", path, got, err)
		}
	}
	if n := lowerBlob.opens.Load() + upperBlob.opens.Load() - before; n != 2 {
		t.Errorf("two blobs were read %d times", n)
	}
}

func TestLoadNamesTheLayerThatFails(t *testing.T) {
	l, b := blobOf(t, "a")
	b.data = b.data[:100]
	_, err := tree.Load(t.Context(), []*layer.Layer{layerOf("f x"), l}, contents{})
	if err == nil || !strings.Contains(err.Error(), "layer 2 of 2") {
		t.Errorf("error is %v", err)
	}
}
