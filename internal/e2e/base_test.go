package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// A file on top of a Debian that is in the same registry: nothing is unpacked,
// nothing of Debian is downloaded once its index is known, and nothing of it is
// uploaded ever.
func TestAFileOnTopOfDebianMovesOnlyTheFile(t *testing.T) {
	r := testenv.Registry(t)
	base := testenv.DebianBase(t, r)
	dir := source(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY app /usr/local/bin/\n", "app": "first\n"})
	b := newBuilder(t, r)
	first := b.build("-t", r.Ref("app:1"), "--push", dir)

	if err := os.WriteFile(filepath.Join(dir, "app"), []byte("second\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	second := b.build("-t", r.Ref("app:2"), "--push", dir)
	if n := r.Count(testenv.BlobGet); n > 1 { // one is the base's config
		t.Errorf("%d blobs were downloaded, though the base's index is known: %v", n, r.Requests())
	}
	checkUploads(t, r)

	r.Reset()
	elsewhere := b.build("-t", r.Ref("other/app:2"), "--push", dir)
	checkUploads(t, r)
	if unpacked := unpackedLayers(t, b); len(unpacked) > 0 {
		t.Errorf("layers were unpacked: %v", unpacked)
	}
	config, err := r.Pull(t, "other/app:2").ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(config.RootFS.DiffIDs); n != 2 {
		t.Errorf("the image has %d layers, not Debian's one and the file's", n)
	}
	t.Logf("with the base's index to be made: %v; with it known: %v; nothing to do but push: %v",
		first.took, second.took, elsewhere.took)
	t.Logf("peak memory: %d KiB, %d KiB, %d KiB", first.peakKiB, second.peakKiB, elsewhere.peakKiB)
}

// checkUploads fails if more was uploaded than a layer with one file and a
// config: Debian is many megabytes.
func checkUploads(t *testing.T, r *testenv.RegistryServer) {
	t.Helper()
	var received int64
	for _, request := range r.Requests() {
		received += request.Received
	}
	if n := r.Count(testenv.UploadEnd); n > 2 || received > 64<<10 {
		t.Errorf("%d blobs and %d bytes were uploaded: %v", n, received, r.Requests())
	}
}

// unpackedLayers returns the unpacked layers in a builder's folder.
func unpackedLayers(t *testing.T, b *builder) []string {
	t.Helper()
	layers, err := filepath.Glob(filepath.Join(b.root, "layers", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return layers
}
