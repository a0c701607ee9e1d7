package inplace_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kiln-build/kiln/internal/testenv"
)

// threeStages is a Dockerfile whose stages start from different images.
const threeStages = `
FROM %s AS one
RUN echo one >/one && chown www-data /one && mkdir -p /run/app && echo 1 >/run/app/pid && ln -s /one /etc/link
RUN (setsid sleep 1000 &) ; rm -r /var/www && mkdir /var/www && echo $HOME >/var/www/home

FROM %s AS two
COPY --from=one /one /etc/link /from-one/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,target=/src --mount=type=tmpfs,target=/scratch \
    --mount=type=secret,id=token --mount=type=bind,from=one,target=/one \
    echo cached >>/root/.cache/f && cp /src/app /out && echo x >/scratch/f && cat /one/one >>/out && wc -c </run/secrets/token >>/out
RUN [ ! -e /root/.cache ] && [ ! -e /src ] && [ ! -e /one ] && chmod 700 /second && rm /second/b

FROM %s
COPY --chown=www-data --from=two /out /srv/out
COPY app /usr/lib/x/app
WORKDIR /srv/work
USER www-data
RUN id >/tmp/who; env | sort >/tmp/env; pwd >/tmp/pwd; umask >/tmp/umask
`

// TestKilnInContainer builds with the program itself: in a container it makes
// what it makes on an overlay outside, twenty times in one container.
func TestKilnInContainer(t *testing.T) {
	if os.Getenv(harnessVariable) != "" {
		t.Skip("is in the container already")
	}
	d := startDocker(t)
	kiln := filepath.Join(t.TempDir(), "kiln")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", kiln, "../../../cmd/kiln")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build kiln: %v\n%s", err, out)
	}
	registry := testenv.Registry(t)
	workspace := newWorkspace(t, registry)

	const flags = " build --secret id=token,src=%[1]s/token --push --progress plain "
	outside := exec.CommandContext(t.Context(), "/bin/sh", "-ec", fmt.Sprintf(kiln+flags+
		"--engine overlay --root %[2]s -t %[3]s %[1]s", workspace, t.TempDir(), registry.Ref("image:overlay")))
	if out, err := outside.CombinedOutput(); err != nil {
		t.Fatalf("build on an overlay: %v\n%s", err, out)
	}

	d.load(t, "kiln", image(t))
	script := fmt.Sprintf(`set -e; trap : TERM
		list() { find / -xdev ! -path '/kiln' ! -path '/kiln/*' ! -path '/proc/*' | sort | xargs stat -c '%%n %%f %%u %%g %%s %%Y'; }
		PATH=/bin; /bin/busybox --install -s /bin; rm -rf /kiln/*; list >/dev/shm/before
		for i in $(seq 20); do
			/usr/bin/kiln`+flags+`--engine inplace --no-cache --root /kiln -t %[2]s --build-arg I=$i %[1]s || exit 1
			list >/dev/shm/after; cmp /dev/shm/before /dev/shm/after || { diff /dev/shm/before /dev/shm/after; exit 2; }
			! ps | grep -q '[s]leep 1000' || exit 3
		done`, "/workspace", registry.Ref("image:inplace"))
	run := d.command(t, "run", "--rm", "--network", "host", "--volume", kiln+":/usr/bin/kiln:ro", "--volume", workspace+":/workspace",
		"--volume", workspace+"/token:/usr/lib/x/libdriver.so:ro", "--volume", workspace+"/token:/var/mounted:ro",
		"kiln", "/bin/busybox", "sh", "-c", script)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("build in a container: %v\n%s", err, out)
	}
	got, want := entries(t, registry.Pull(t, "image:inplace")), entries(t, registry.Pull(t, "image:overlay"))
	if !slices.Equal(got, want) {
		t.Errorf("in place the image holds\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), out)
	}
}

// newWorkspace returns a directory with a Dockerfile and what it copies.
func newWorkspace(t *testing.T, registry *testenv.RegistryServer) string {
	t.Helper()
	dir := t.TempDir()
	busybox := testenv.BusyboxLayer(t)
	first := testenv.BusyboxBase(t, registry)
	second := registry.Push(t, "second:base", busybox, layerOf(t,
		&tar.Header{Typeflag: tar.TypeDir, Name: "second/", Mode: 0o755},
		&tar.Header{Typeflag: tar.TypeReg, Name: "second/a", Mode: 0o644},
		&tar.Header{Typeflag: tar.TypeReg, Name: "second/b", Mode: 0o644},
	))
	third := registry.Push(t, "third:base", busybox, layerOf(t,
		&tar.Header{Typeflag: tar.TypeDir, Name: "third/", Mode: 0o755},
		&tar.Header{Typeflag: tar.TypeSymlink, Name: "run", Linkname: "third", Mode: 0o777},
		&tar.Header{Typeflag: tar.TypeSymlink, Name: "etc/hosts", Linkname: "/nowhere", Mode: 0o777},
	))
	for name, content := range map[string]string{
		"app": "the app\n", "token": "s3cret",
		"Dockerfile": fmt.Sprintf(threeStages, first, second, third),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// entries describes what the layers of an image hold, but for times.
func entries(t *testing.T, image v1.Image) []string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(content); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, r); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%d: %s %c %o %d:%d %q %x", i, h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, sum.Sum(nil)[:4]))
		}
		if err := content.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// layerOf returns a layer with empty files.
func layerOf(t *testing.T, headers ...*tar.Header) v1.Layer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return layer
}
