package e2e_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/testenv"
)

// killedDockerfile makes the same image each time, byte for byte: every RUN
// sets the times of what it makes. Stages run side by side, one reads from the
// others, and what a layer holds is changed and removed by later ones.
const killedDockerfile = `
ARG BASE
FROM ${BASE} AS files
RUN mkdir /files && cd /files && for i in $(seq 400); do echo "file $i" > $i; done \
 && ln 1 again && ln -s 2 link && chmod 4711 3 && chown 33:50 4 && touch -h -d @1000000000 * .
COPY src /files/src
RUN rm -r /files/src/b && rm /files/5 && echo changed > /files/6 && touch -d @1000000000 /files/6 /files/src /files

FROM ${BASE} AS big
RUN mkdir /big && head -c 30000000 /dev/zero | tr '\0' x > /big/x && touch -d @1000000000 /big/x /big

FROM files
COPY --from=big /big /big
RUN rm -r /kept/1 && mkdir /kept/1 && touch /kept/1/new && cp /big/x /big/y \
 && touch -d @1000000000 /kept/1/new /kept/1 /kept /big/y /big
COPY --chown=33 src /srv
`

// A kiln that is killed at any moment leaves nothing that the next build with
// the same folder trusts wrongly: that makes the image that a build in a new
// folder makes, byte for byte.
func TestAKilledBuildDoesNotSpoilTheNext(t *testing.T) {
	r := testenv.Registry(t)
	dir := source(t, map[string]string{
		"base/Dockerfile": "FROM " + testenv.BusyboxBase(t, r) + "\n" +
			"RUN mkdir /kept && cd /kept && for d in 1 2 3 4 5; do mkdir $d; for f in $(seq 300); do echo $f > $d/$f; done; done\n",
		"app/Dockerfile": killedDockerfile,
		"app/src/a":      "a\n",
		"app/src/b/c":    "c\n",
	})
	base := r.Ref("base:many")
	newBuilder(t, r).build("-t", base, "--push", filepath.Join(dir, "base"))
	image := func(out string) []string {
		return []string{"--build-arg", "BASE=" + base, "--build-arg", "SOURCE_DATE_EPOCH=1000000000",
			"-o", "type=oci,dest=" + out, filepath.Join(dir, "app")}
	}

	want := newBuilder(t, r).build(image(filepath.Join(t.TempDir(), "image.tar"))...)
	t.Logf("a build that is left alone takes %v", want.took)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	random := rand.New(rand.NewPCG(2026, 1))
	for round := range rounds {
		b := newBuilder(t, r)
		out := t.TempDir()
		for range 2 { // the second is killed where the first one's remains are
			moment := time.Duration(random.Int64N(int64(want.took)))
			before := look(t)
			cmd := b.command(image(filepath.Join(out, "image.tar"))...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(moment)
			if err := cmd.Process.Kill(); err != nil {
				t.Logf("round %d: the build was done before %v", round, moment)
			}
			_ = cmd.Wait() // that it was killed is known
			checkNothingLeft(t, before)
			checkImageOrNothing(t, out, want)
		}
		got := b.build(image(filepath.Join(out, "image.tar"))...)
		if got.digest != want.digest {
			t.Errorf("round %d: built after a kill, the image is %s; alone it is %s\n%s", round, got.digest, want.digest, got.output)
		}
		checkImageOrNothing(t, out, want)
		if left, err := filepath.Glob(filepath.Join(b.root, "tmp", "*")); err != nil || len(left) > 0 {
			t.Errorf("round %d: the folder still holds what was not finished: %v %v", round, left, err)
		}
		if t.Failed() {
			return
		}
	}
}

// checkImageOrNothing fails if an archive is there and not whole.
func checkImageOrNothing(t *testing.T, dir string, want result) {
	t.Helper()
	path := filepath.Join(dir, "image.tar")
	if _, err := os.Stat(path); err != nil {
		return
	}
	if got := archiveDigest(t, path); got != want.digest {
		t.Errorf("the archive holds %s, not %s", got, want.digest)
	}
}
