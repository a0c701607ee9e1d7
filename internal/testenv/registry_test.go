package testenv_test

import (
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kiln-build/kiln/internal/testenv"
)

func TestRegistryCountsAPushAndAPull(t *testing.T) {
	r := testenv.Registry(t)
	image, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	r.PushImage(t, "team/app:1", image)
	checkCount(t, r, 4, testenv.UploadEnd) // three layers and a config
	checkCount(t, r, 1, testenv.ManifestPut)

	r.Reset()
	pulled := r.Pull(t, "team/app:1")
	layers, err := pulled.Layers()
	if err != nil {
		t.Fatal(err)
	}
	want, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := layers[1].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	size, err := layers[1].Size()
	if err != nil {
		t.Fatal(err)
	}
	if err := drain(blob); err != nil {
		t.Fatal(err)
	}
	checkCount(t, r, 0, testenv.UploadStart, testenv.UploadChunk, testenv.UploadEnd, testenv.ManifestPut)
	for _, request := range r.Requests() {
		if request.Kind != testenv.BlobGet || request.Reference != want.String() {
			continue
		}
		if request.Repository != "team/app" || request.Status != http.StatusOK || request.Sent != size {
			t.Errorf("the layer was got as %v, want %d bytes sent from team/app", request, size)
		}
		return
	}
	t.Errorf("the layer was not got: %v", r.Requests())
}

func TestRegistryTellsAMountFromAnUpload(t *testing.T) {
	r := testenv.Registry(t)
	base, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.PushImage(t, "base:1", base)
	added, err := random.Layer(1000, "application/vnd.oci.image.layer.v1.tar+gzip")
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(r.Pull(t, "base:1"), added)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.Ref("app:1"), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	mounted := 0
	for _, request := range r.Requests() {
		if request.Kind == testenv.BlobMount && request.Status == http.StatusCreated {
			mounted++
		}
	}
	if mounted != 1 {
		t.Errorf("%d blobs were mounted, want the base's one: %v", mounted, r.Requests())
	}
	checkCount(t, r, 2, testenv.UploadEnd) // the added layer and the config
}

func TestRegistryMiddlewareStandsInFront(t *testing.T) {
	r := testenv.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodPut {
				http.Error(w, "full", http.StatusInsufficientStorage)
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	image, err := random.Image(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.Ref("app"), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithRetryPredicate(func(error) bool { return false })); err == nil {
		t.Error("pushing to a full registry succeeded")
	}
	checkCount(t, r, 0, testenv.ManifestPut)
}

func checkCount(t *testing.T, r *testenv.RegistryServer, want int, kinds ...testenv.Kind) {
	t.Helper()
	if got := r.Count(kinds...); got != want {
		t.Errorf("%d requests of kind %v, want %d; all: %v", got, kinds, want, r.Requests())
	}
}
