package testenv

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// BusyboxBase pushes a small image to r and returns its reference: the static
// busybox of this machine with all its applets in /bin, the users root (0),
// www-data (33) and nobody (65534), an empty /etc/group of theirs, /root, /home,
// /var/www and a /tmp for everyone.
func BusyboxBase(t testing.TB, r *RegistryServer) string {
	t.Helper()
	return r.Push(t, "busybox:base", BusyboxLayer(t))
}

// BusyboxLayer returns the one layer of [BusyboxBase]. It is the same, byte for
// byte, each time on one machine.
func BusyboxLayer(t testing.TB) v1.Layer {
	t.Helper()
	busybox := RequireTool(t, "busybox")
	binary := readStatic(t, busybox)
	applets, err := exec.CommandContext(t.Context(), busybox, "--list").Output()
	if err != nil {
		t.Fatalf("list the applets of busybox: %v", err)
	}
	var archive bytes.Buffer
	w := &tarWriter{t: t, w: tar.NewWriter(&archive)}
	w.dirs(0o755, "bin", "etc", "home", "root", "var", "var/www")
	w.dirs(0o1777, "tmp")
	w.file("bin/busybox", 0o755, binary)
	for applet := range strings.Lines(string(applets)) {
		if applet = strings.TrimSpace(applet); applet != "busybox" {
			w.link("bin/"+applet, "busybox")
		}
	}
	w.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"+
		"www-data:x:33:33:www-data:/var/www:/bin/sh\n"+
		"nobody:x:65534:65534:nobody:/:/bin/sh\n"))
	w.file("etc/group", 0o644, []byte("root:x:0:\nstaff:x:50:www-data\nwww-data:x:33:\nnogroup:x:65534:\n"))
	w.close()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatalf("make a layer of busybox: %v", err)
	}
	return layer
}

// readStatic reads a program, and ends the test if it would not run in an image
// without libraries.
func readStatic(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s is no program: %v", path, err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			missing(t, "%s needs libraries: install the package busybox-static with make setup", path)
		}
	}
	return content
}

// DebianBase pushes a real Debian to r, this machine's release in its smallest
// form with apt, and returns its reference. Its apt asks the mirrors that this
// machine asks. The first use makes it with mmdebstrap and keeps it; see
// scripts/debian-base.sh for where.
func DebianBase(t testing.TB, r *RegistryServer) string {
	t.Helper()
	for _, tool := range []string{"mmdebstrap", "flock"} {
		RequireTool(t, tool)
	}
	script := filepath.Join(sourceRoot(t), "scripts", "debian-base.sh")
	cmd := exec.CommandContext(t.Context(), script)
	var progress bytes.Buffer
	cmd.Stderr = &progress
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("make a Debian: %v\n%s", err, progress.String())
	}
	layer, err := tarball.LayerFromFile(strings.TrimSpace(string(path)), tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatalf("make a layer of Debian: %v", err)
	}
	return r.Push(t, "debian:base", layer)
}

// sourceRoot returns the top of the source tree that this test runs in: the
// nearest directory upwards with a go.mod.
func sourceRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd() // go test runs tests in their package's directory
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("not inside kiln's source tree")
		}
		dir = filepath.Dir(dir)
	}
}

// Push pushes an image of the layers for this machine's platform, with a shell
// as its command, and returns its reference.
func (r *RegistryServer) Push(t testing.TB, repositoryTag string, layers ...v1.Layer) string {
	t.Helper()
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH,
		Config: v1.Config{
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Cmd: []string{"sh"},
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		t.Fatalf("configure %s: %v", repositoryTag, err)
	}
	for _, layer := range layers {
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "testenv"}})
		if err != nil {
			t.Fatalf("add a layer to %s: %v", repositoryTag, err)
		}
	}
	return r.PushImage(t, repositoryTag, image)
}

// PushImage pushes any image and returns its reference.
func (r *RegistryServer) PushImage(t testing.TB, repositoryTag string, image v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(r.Ref(repositoryTag), name.Insecure)
	if err != nil {
		t.Fatalf("name %s: %v", repositoryTag, err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatalf("push %s: %v", repositoryTag, err)
	}
	return ref.String()
}

// Pull returns an image that was pushed to r.
func (r *RegistryServer) Pull(t testing.TB, repositoryTag string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(r.Ref(repositoryTag), name.Insecure)
	if err != nil {
		t.Fatalf("name %s: %v", repositoryTag, err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatalf("pull %s: %v", repositoryTag, err)
	}
	return image
}
