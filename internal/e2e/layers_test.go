package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// manyLayers is more than 127, which many tools stop at: overlayfs takes 500
// directories, but a page of mount options holds fewer.
const manyLayers = 150

// An image of 150 layers is built, used as a base, and shows what each layer
// put there.
func TestAnImageOf150Layers(t *testing.T) {
	r := testenv.Registry(t)
	var file strings.Builder
	fmt.Fprintf(&file, "FROM %s\n", testenv.BusyboxBase(t, r))
	for i := range manyLayers / 2 {
		fmt.Fprintf(&file, "RUN echo %d > /run-%[1]d && echo %[1]d >> /sum\n", i)
		fmt.Fprintf(&file, "COPY --chown=%d file /copy-%[1]d\n", i)
	}
	dir := source(t, map[string]string{"Dockerfile": file.String(), "file": "content\n"})
	b := newBuilder(t, r)
	built := b.build("-t", r.Ref("many:1"), "--push", dir)

	config, err := r.Pull(t, "many:1").ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(config.RootFS.DiffIDs); n != 1+manyLayers {
		t.Errorf("the image has %d layers, not the base's one and %d", n, manyLayers)
	}
	// A kiln that has not made them shows them all to a RUN.
	use := source(t, map[string]string{"Dockerfile": "FROM " + r.Ref("many:1") + "\n" +
		`RUN test "$(wc -l </sum)" = 75 && test "$(ls -d /run-* | wc -l)" = 75 && test "$(ls -d /copy-* | wc -l)" = 75` + "\n" +
		`RUN for i in $(seq 0 74); do test "$(cat /run-$i)" = $i && test "$(stat -c %u /copy-$i)" = $i || exit 1; done` + "\n"})
	used := newBuilder(t, r).build(use)
	t.Logf("built in %v with %d KiB, used in %v with %d KiB", built.took, built.peakKiB, used.took, used.peakKiB)
}
