package inplace_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInContainer runs this package's other tests in a container that docker
// runs with its default options, and read-only files mounted where a GPU's
// driver is: once with kiln's folder in the container's own file system and
// once in a volume.
func TestInContainer(t *testing.T) {
	if os.Getenv(harnessVariable) != "" {
		t.Skip("is in the container already")
	}
	d := startDocker(t)
	d.load(t, "tests", image(t))
	t.Run("same file system", func(t *testing.T) { d.tests(t, "/kiln", "^TestInside") })
	t.Run("volume", func(t *testing.T) {
		d.tests(t, "/volume", "^TestInside$", "--volume", t.TempDir()+":/volume")
	})
}

// BenchmarkInContainer runs the benchmarks of inside_test.go.
func BenchmarkInContainer(b *testing.B) {
	if os.Getenv(harnessVariable) != "" {
		b.Skip("is in the container already")
	}
	d := startDocker(b)
	d.load(b, "tests", image(b))
	d.run(b, "/kiln", "^$", "^BenchmarkInside")
}

// docker is a daemon that belongs to one test.
type docker struct{ host string }

func startDocker(t testing.TB) docker {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("docker needs root")
	}
	for _, program := range []string{"dockerd", "/usr/bin/docker", "/bin/busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs the packages docker.io and busybox-static: %v", err)
		}
	}
	script, err := filepath.Abs("../../../scripts/dockerd.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kiln-docker-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop docker: %v\n%s", err, out)
		}
	})
	if out, err := exec.CommandContext(t.Context(), script, "start", dir).CombinedOutput(); err != nil {
		t.Skipf("docker does not start here: %v\n%s", err, out)
	}
	return docker{host: "unix://" + dir + "/docker.sock"}
}

func (d docker) command(t testing.TB, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/usr/bin/docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	return cmd
}

func (d docker) load(t testing.TB, name string, files []byte) {
	t.Helper()
	cmd := d.command(t, "import", "-", name)
	cmd.Stdin = bytes.NewReader(files)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("import image: %v\n%s", err, out)
	}
}

// tests runs the tests that pattern names with their files in tmp.
func (d docker) tests(t testing.TB, tmp, pattern string, options ...string) {
	t.Helper()
	if out := d.run(t, tmp, pattern, "^$", options...); !strings.Contains(out, "--- PASS: TestInside") {
		t.Error("no test has run in the container")
	}
}

// run is tests with benchmarks. It returns the output.
func (d docker) run(t testing.TB, tmp, pattern, benchmarks string, options ...string) string {
	t.Helper()
	driver := filepath.Join(t.TempDir(), "libdriver.so")
	if err := os.WriteFile(driver, []byte("driver"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"run", "--rm", "--network", "host", "--env", harnessVariable + "=1", "--env", "TMPDIR=" + tmp,
		"--volume", driver + ":/usr/lib/x/libdriver.so:ro", "--volume", driver + ":/etc/driver.conf:ro",
	}
	args = append(args, options...)
	// The shell stays, as PID 1, whatever signals processes send it.
	args = append(args, "tests", "/bin/busybox", "sh", "-c", `trap : INT TERM HUP; /tests -test.v "-test.run=$0" "-test.bench=$1"; exit $?`, pattern, benchmarks)
	out, err := d.command(t, args...).CombinedOutput()
	t.Logf("in the container:\n%s", out)
	if err != nil {
		t.Errorf("the tests in the container: %v", err)
	}
	return string(out)
}

// image returns the files of an image for the tests: busybox and the tests
// themselves, and some that the container has to have afterwards.
func image(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(h *tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin/", "etc/", "kiln/", "usr/", "usr/lib/", "usr/lib/x/", "tmp/"} {
		add(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	add(&tar.Header{Name: "bin/busybox", Mode: 0o755}, busybox)
	add(&tar.Header{Name: "tests", Mode: 0o755}, staticTests(t))
	add(&tar.Header{Name: strings.TrimPrefix(harnessFile, "/"), Mode: 0o644}, nil)
	add(&tar.Header{Name: "usr/lib/x/plain", Mode: 0o644}, []byte("the container's own"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// staticTests returns the program of these tests, which needs no libraries.
func staticTests(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tests")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build tests: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
