package step_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/buildcontext"
)

// dockerEnv names a Docker daemon to compare with, as DOCKER_HOST would, for
// instance unix:///run/docker.sock. It must be root's: owners are compared.
const dockerEnv = "KILN_TEST_DOCKER"

// TestAgainstDocker builds the same COPY chains with BuildKit and here, and
// compares what the images show, or that both fail. Without --chmod: old
// versions of BuildKit treat directories made on the way in another way.
func TestAgainstDocker(t *testing.T) {
	docker := newDocker(t)
	for seed := range rounds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			dir := t.TempDir()
			randomTree(t, r, dir, 3)
			docker.compare(t, dir, randomCopies(r, pathsIn(t, dir)))
		})
	}
}

// rounds is how many random cases are tried.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("KILN_TEST_ROUNDS")); err == nil {
		return n
	}
	return 10
}

// TestAddAgainstDocker adds random archives to random trees with BuildKit and
// here.
func TestAddAgainstDocker(t *testing.T) {
	docker := newDocker(t)
	for seed := range rounds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			dir := t.TempDir()
			randomTree(t, r, filepath.Join(dir, "tree"), 2)
			if err := os.WriteFile(filepath.Join(dir, "t.tar"), []byte(randomArchive(t, r)), 0o644); err != nil {
				t.Fatal(err)
			}
			docker.compare(t, dir, []string{"COPY --from=context tree /", "ADD t.tar " + randomDest(r)})
		})
	}
}

// randomArchive makes a tar whose members meet.
func randomArchive(t *testing.T, r *rand.Rand) string {
	t.Helper()
	var members []tar.Header
	for range 1 + r.IntN(8) {
		h := tar.Header{Name: randomPath(r), Mode: int64(r.IntN(0o1000)), Uid: r.IntN(3), Gid: r.IntN(3)}
		switch r.IntN(6) {
		case 0:
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, randomTarget(r), 0o777
		case 1:
			h.Typeflag, h.Linkname = tar.TypeLink, randomPath(r)
			if n := len(members); n > 0 {
				h.Linkname = members[r.IntN(n)].Name
			}
		case 2, 3:
			h.Typeflag = tar.TypeDir
		}
		members = append(members, h)
	}
	return archive(t, "x", members...)
}

// docker is a daemon with BuildKit.
type docker struct{ host string }

func newDocker(t *testing.T) docker {
	t.Helper()
	host := os.Getenv(dockerEnv)
	if host == "" {
		t.Skip("set " + dockerEnv + " to the address of a Docker daemon")
	}
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker command: ", err)
	}
	return docker{host}
}

func (d docker) compare(t *testing.T, dir string, lines []string) {
	t.Helper()
	src, err := buildcontext.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	got := newImage(t)
	for i, line := range lines {
		if err := got.copyLine(t, copier(t), line, src); err != nil {
			if _, dockerErr := d.build(t, dir, lines[:i+1]); dockerErr == nil {
				t.Errorf("%s\nfails with %v, but not in Docker", strings.Join(lines[:i+1], "\n"), err)
			}
			lines = lines[:i]
			break
		}
	}
	if len(lines) == 0 {
		return
	}
	want, err := d.build(t, dir, lines)
	if err != nil && strings.Contains(err.Error(), "Error processing tar file") {
		t.Skip("Docker gives up on archives that replace their own directories: ", err)
	}
	if err != nil {
		t.Fatalf("%s\nfails in Docker only: %v", strings.Join(lines, "\n"), err)
	}
	if diff := difference(flatten(t, got), want); diff != "" {
		t.Errorf("%s\n%s", strings.Join(lines, "\n"), diff)
	}
}

// build builds an image of COPY lines and returns what it shows.
func (d docker) build(t *testing.T, dir string, lines []string) (flat, error) {
	t.Helper()
	// By way of a stage: what old clients send of a source tree with links is
	// not always all that is needed.
	dockerfile := "FROM scratch AS context\nCOPY . /\nFROM scratch\n" + strings.Join(lines, "\n") + "\n"
	cmd := exec.CommandContext(t.Context(), "docker", "build", "--no-cache", "--network", "host", "--progress", "plain", "-o", "type=tar,dest=-", "-f", "-", dir)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1", "DOCKER_HOST="+d.host)
	cmd.Stdin = strings.NewReader(dockerfile)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		if !strings.Contains(messages.String(), "ERROR: ") {
			t.Fatalf("docker: %v\n%s", err, messages.String())
		}
		return nil, errors.New(messages.String())
	}
	return flattenTar(t, &out), nil
}

// flattenTar is flatten for a tar.
func flattenTar(t *testing.T, r io.Reader) flat {
	t.Helper()
	all := make(flat)
	first := make(map[string]string)
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimSuffix(h.Name, "/")
		facts := fmt.Sprintf(" %04o %d:%d", h.Mode&0o7777, h.Uid, h.Gid)
		switch h.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			facts = fmt.Sprintf("f%s %d %q", facts, h.ModTime.Unix(), content)
		case tar.TypeLink:
			target := h.Linkname
			if first[target] == "" {
				first[target] = target
				all[target] += " = " + target
			}
			facts = all[target]
		case tar.TypeDir:
			facts = "d" + facts
		case tar.TypeSymlink:
			facts = "l" + facts + " -> " + h.Linkname
		case tar.TypeFifo:
			facts = "p" + facts
		default:
			t.Fatalf("type %q in a tar", h.Typeflag)
		}
		all[path] = facts
	}
}

// randomNames are few, so that things meet.
var randomNames = []string{"a", "b", "c.x", "d.x"}

// randomTree makes dir and fills it with files, directories and links of all kinds.
func randomTree(t *testing.T, r *rand.Rand, dir string, depth int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range randomNames {
		path := filepath.Join(dir, name)
		var err error
		switch kind := r.IntN(12); {
		case kind < 4 && depth > 0:
			if err = os.Mkdir(path, 0o755); err == nil {
				randomTree(t, r, path, depth-1)
				err = os.Chmod(path, randomMode(r)|0o700)
			}
		case kind < 7:
			if err = os.WriteFile(path, []byte(path[len(dir):]+fmt.Sprint(r.IntN(100))), 0o600); err == nil {
				// Whole seconds: exporters round in different ways.
				err = errors.Join(os.Chmod(path, randomMode(r)), os.Chtimes(path, old, old.Add(time.Duration(r.IntN(9))*time.Second)))
				files = append(files, path)
			}
		case kind < 10:
			err = os.Symlink(randomTarget(r), path)
		case kind == 10 && len(files) > 0:
			err = os.Link(files[r.IntN(len(files))], path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func randomMode(r *rand.Rand) os.FileMode {
	mode := os.FileMode(r.IntN(0o1000)) | 0o600 // readable for those who are not root
	for _, special := range []os.FileMode{os.ModeSetuid, os.ModeSetgid, os.ModeSticky} {
		if r.IntN(8) == 0 {
			mode |= special
		}
	}
	return mode
}

func randomTarget(r *rand.Rand) string {
	target := randomPath(r)
	switch r.IntN(4) {
	case 0:
		return "/" + target
	case 1:
		return "../" + target
	}
	return target
}

func randomPath(r *rand.Rand) string {
	path := randomNames[r.IntN(len(randomNames))]
	for r.IntN(3) == 0 {
		path += "/" + randomNames[r.IntN(len(randomNames))]
	}
	return path
}

// pathsIn lists all that is in dir.
func pathsIn(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			paths = append(paths, path[len(dir)+1:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func randomCopies(r *rand.Rand, known []string) []string {
	var lines []string
	for range 1 + r.IntN(4) {
		line := "COPY --from=context" + []string{"", "", " --chown=1:2", " --chown=3"}[r.IntN(4)]
		for range 1 + r.IntN(2) {
			line += " " + randomSource(r, known)
		}
		line += " " + randomDest(r)
		lines = append(lines, line)
	}
	return lines
}

func randomSource(r *rand.Rand, known []string) string {
	switch r.IntN(30) {
	case 0:
		return "*"
	case 1:
		return "*.x"
	case 2:
		return "."
	case 3:
		return "*/?"
	case 4:
		return randomPath(r)
	}
	if len(known) == 0 {
		return "."
	}
	return known[r.IntN(len(known))]
}

func randomDest(r *rand.Rand) string {
	switch r.IntN(5) {
	case 0:
		return "/"
	case 1:
		return "/" + randomPath(r)
	}
	return "/" + randomPath(r) + "/"
}
