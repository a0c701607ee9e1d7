package e2e_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// archiveDigest reads an archive of an OCI image layout to its end, checks every
// blob in it, and returns the digest of its one image.
func archiveDigest(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var index ocispec.Index
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
		switch {
		case h.Name == "index.json":
			if err := json.NewDecoder(archive).Decode(&index); err != nil {
				t.Fatalf("read %s: %v", path, err)
			}
		case filepath.Dir(h.Name) == "blobs/sha256" && h.Typeflag == tar.TypeReg:
			got, err := digest.SHA256.FromReader(archive)
			if err != nil {
				t.Fatalf("read %s: %v", path, err)
			}
			if got.Encoded() != filepath.Base(h.Name) {
				t.Errorf("%s: %s has the digest %s", path, h.Name, got)
			}
		}
	}
	if len(index.Manifests) != 1 {
		t.Fatalf("%s: index.json names %d images", path, len(index.Manifests))
	}
	return index.Manifests[0].Digest.String()
}
