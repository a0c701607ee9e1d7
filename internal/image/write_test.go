package image_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/layer"
)

func write(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

func TestReplaceWritesThroughLinksAndPipes(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o644), os.Symlink("target", link)); err != nil {
		t.Fatal(err)
	}
	if err := image.Replace(link, write("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink(link); got != "target" {
		t.Errorf("the link has become %q, %v", got, err)
	}
	if got, err := os.ReadFile(target); string(got) != "new" {
		t.Errorf("the file behind the link has %q, %v", got, err)
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := image.Replace(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), write("into the pipe")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != "into the pipe" {
		t.Errorf("the pipe got %q, %v", got, err)
	}
}

// A layer that turns out to be damaged must not end up anywhere.
func TestDamagedLayerLeavesNoOutput(t *testing.T) {
	for name, out := range outputs() {
		s := openStore(t)
		img, view := sampleIn(t, s, false, layer.Gzip)
		damage(t, filepath.Join(s.Dir(), "blobs", "sha256", img.Descriptors[0].Digest.Encoded()))
		path := filepath.Join(t.TempDir(), "out")
		if err := out.write(t.Context(), path, img, view); err == nil {
			t.Errorf("%s: an image with a damaged layer was written", name)
		}
		if name == "oci-layout" {
			path = filepath.Join(path, "index.json") // makes the rest an image
		}
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s: %s is there after the failure", name, path)
		}
	}
}

// damage changes a byte of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreAddedToADirectory(t *testing.T) {
	_, view := sampleImage(t, false, layer.Gzip)
	dir := t.TempDir()
	for name, content := range map[string]string{"mine": "kept", "etc/motd": "replaced", "etc/mine": "kept"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := image.WriteFiles(t.Context(), dir, view); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"mine": "kept", "etc/motd": "new", "etc/mine": "kept"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestFilesDoNotReplaceDirectories(t *testing.T) {
	_, view := sampleImage(t, false, layer.Gzip)
	dir := t.TempDir()
	precious := filepath.Join(dir, "etc/motd/precious")
	if err := os.MkdirAll(precious, 0o755); err != nil {
		t.Fatal(err)
	}
	err := image.WriteFiles(t.Context(), dir, view)
	if err == nil || !strings.Contains(err.Error(), "etc/motd is a directory") {
		t.Errorf("error = %v, want a refusal that names the directory", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("what was in the directory is gone: %v", err)
	}
}

func TestLayoutKeepsWhatItDoesNotKnow(t *testing.T) {
	img, _ := sampleImage(t, false, layer.Gzip)
	dir := t.TempDir()
	index := filepath.Join(dir, "index.json")
	old := `{"schemaVersion":2,"new-field":{"a":1},"manifests":[{"mediaType":"x/y","digest":"sha256:` + strings.Repeat("0", 64) + `","size":1,"data":"AA=="}]}`
	if err := os.WriteFile(index, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := image.WriteLayout(t.Context(), dir, img, []string{testName}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"new-field":{"a":1}`, `"data":"AA=="`, testName} {
		if !strings.Contains(string(got), want) {
			t.Errorf("index is %s, want it to have %s", got, want)
		}
	}
}

func TestBuildsAddToOneLayoutAtOnce(t *testing.T) {
	img, _ := sampleImage(t, false, layer.Gzip)
	dir := filepath.Join(t.TempDir(), "layout")
	const builds = 8
	var all sync.WaitGroup
	for i := range builds {
		all.Go(func() {
			if err := image.WriteLayout(t.Context(), dir, img, []string{fmt.Sprintf("app:%d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range builds {
		if name := fmt.Sprintf("docker.io/library/app:%d", i); !strings.Contains(string(index), name) {
			t.Errorf("%s is not in the index", name)
		}
	}
	if hidden, _ := filepath.Glob(filepath.Join(dir, "*", "*", ".*")); len(hidden) > 0 {
		t.Errorf("left behind: %v", hidden)
	}
}
