package cli

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kiln-build/kiln/internal/build"
)

// making returns a build that makes an image and keeps what it was told.
func making(got *build.Options) Builder {
	return func(_ context.Context, opts build.Options) (build.Result, error) {
		*got = opts
		r := build.Result{
			Digest: "sha256:aaa", ConfigDigest: "sha256:ccc", Size: 1234,
			MediaType: "application/vnd.oci.image.manifest.v1+json",
		}
		if opts.Push {
			r.Refs = opts.Tags
		}
		return r, nil
	}
}

func TestTheDigestIsPrintedAndTheRestIsSaidBesides(t *testing.T) {
	dir := dirWith(t, sixLines)
	tar := filepath.Join(t.TempDir(), "x.tar")
	for _, c := range []struct {
		name           string
		args           []string
		stdout, stderr string
	}{
		{
			name: "not kept", stdout: "sha256:aaa\n",
			stderr: "The image was built and not kept. To keep it, add --push -t NAME, or -o type=oci,dest=image.tar.\n",
		},
		{name: "quiet", args: []string{"-q"}, stdout: "sha256:aaa\n"},
		{name: "pushed", args: []string{"--push", "-t", "r.example.com/a:1"}, stdout: "sha256:aaa\n", stderr: "pushed r.example.com/a:1\n"},
		{name: "written", args: []string{"-o", "type=oci,dest=" + tar}, stdout: "sha256:aaa\n", stderr: "wrote " + tar + " (oci)\n"},
		{name: "the image itself on stdout", args: []string{"-o", "-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var opts build.Options
			args := append(append([]string{"build", "--progress", "auto"}, c.args...), dir)
			got := runWith(t.Context(), "", making(&opts), args...)
			if got.status != ExitOK || got.stdout != c.stdout || got.stderr != c.stderr {
				t.Errorf("status %d, stdout %q, stderr %q; want %q, %q", got.status, got.stdout, got.stderr, c.stdout, c.stderr)
			}
		})
	}
}

func TestResultFiles(t *testing.T) {
	out := t.TempDir()
	id, meta := filepath.Join(out, "id"), filepath.Join(out, "meta.json")
	var opts build.Options
	got := runWith(t.Context(), "", making(&opts), "build", "-q", "-t", "a", "-t", "b:1", "--iidfile", id, "--metadata-file", meta, dirWith(t, sixLines))
	if got.status != ExitOK {
		t.Fatal(got.stderr)
	}
	hasContent(t, id, "sha256:ccc")
	hasContent(t, meta, `{
  "containerimage.config.digest": "sha256:ccc",
  "containerimage.descriptor": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:aaa",
    "size": 1234
  },
  "containerimage.digest": "sha256:aaa",
  "image.name": "a,b:1"
}
`)
	if entries, err := os.ReadDir(out); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAFailedBuildWritesNoResultFiles(t *testing.T) {
	id := filepath.Join(t.TempDir(), "id")
	got := runWith(t.Context(), "", failing(os.ErrClosed), "build", "-q", "--iidfile", id, dirWith(t, sixLines))
	if _, err := os.Stat(id); !os.IsNotExist(err) || got.status != ExitFailed {
		t.Errorf("status %d, %v", got.status, err)
	}
}

func TestAResultFileCanBeAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		content, _ := os.ReadFile(pipe)
		read <- string(content)
	}()
	var opts build.Options
	got := runWith(t.Context(), "", making(&opts), "build", "-q", "--iidfile", pipe, dirWith(t, sixLines))
	if id := <-read; id != "sha256:ccc" || got.status != ExitOK {
		t.Errorf("status %d, read %q", got.status, id)
	}
}

func hasContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

func TestFlagsBecomeOptions(t *testing.T) {
	dir := dirWith(t, sixLines)
	var opts build.Options
	got := runWith(t.Context(), "", making(&opts), "build", "-q",
		"-f", filepath.Join(dir, "Dockerfile"), "--target", "test", "--platform", "linux/arm64",
		"--build-arg", "A=1=2", "--build-arg", "V", "--build-arg", "UNSET", "--build-arg", "EMPTY=",
		"--label", "a=b,c", "--label", "bare", "--annotation", "x=y", "--annotation", "manifest:m=n",
		"-t", "app", "--push", "-o", "type=docker,dest=out.tar", "-o", ".",
		"--format", "docker", "--compression", "zstd", "--compression-level", "19",
		"--no-cache", "--engine", "chroot", "--root", "/var/tmp/../kiln",
		"--insecure-registry", "localhost:5000", dir)
	if got.status != ExitOK {
		t.Fatal(got.stderr)
	}
	same := func(name string, got, want any) {
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	same("Context", opts.Context, dir)
	same("Dockerfile", opts.Dockerfile, filepath.Join(dir, "Dockerfile"))
	same("Target", opts.Target, "test")
	same("Platform", opts.Platform, "linux/arm64")
	if want := map[string]string{"A": "1=2", "V": "3", "EMPTY": ""}; !maps.Equal(opts.BuildArgs, want) {
		t.Errorf("BuildArgs %v, want %v", opts.BuildArgs, want)
	}
	if want := map[string]string{"a": "b,c", "bare": ""}; !maps.Equal(opts.Labels, want) {
		t.Errorf("Labels %v, want %v", opts.Labels, want)
	}
	if want := map[string]string{"x": "y", "m": "n"}; !maps.Equal(opts.Annotations, want) {
		t.Errorf("Annotations %v, want %v", opts.Annotations, want)
	}
	same("Tags", opts.Tags[0], "app")
	same("Push", opts.Push, true)
	same("Outputs[0]", opts.Outputs[0], build.Output{Type: "docker", Dest: "out.tar"})
	same("Outputs[1]", opts.Outputs[1], build.Output{Type: "local", Dest: "."})
	same("Format", opts.Format, "docker")
	same("Compression", opts.Compression, "zstd")
	same("CompressionLevel", opts.CompressionLevel, 19)
	same("NoCache", opts.NoCache, true)
	same("Engine", opts.Engine, "chroot")
	same("Root", opts.Root, "/var/kiln")
	same("InsecureRegistries", opts.InsecureRegistries[0], "localhost:5000")
}

func TestSourceDateEpochIsTheTimeOfTheImage(t *testing.T) {
	var opts build.Options
	runWith(t.Context(), "", making(&opts), "build", "-q", "--build-arg", "SOURCE_DATE_EPOCH=86400", dirWith(t, sixLines))
}

func TestWhereKilnsFolderIs(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  []string
		want string
	}{
		{0, []string{"HOME=/root", "XDG_DATA_HOME=/data"}, "/var/lib/kiln"},
		{1000, []string{"HOME=/home/u", "XDG_DATA_HOME=/data"}, "/data/kiln"},
		{1000, []string{"HOME=/home/u"}, "/home/u/.local/share/kiln"},
		{1000, []string{"HOME=/home/u", "XDG_DATA_HOME=relative"}, "/home/u/.local/share/kiln"},
		{1000, nil, ""},
	} {
		got, err := defaultRoot(Process{UID: c.uid, Env: c.env})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("uid %d, env %v: %q, %v; want %q", c.uid, c.env, got, err, c.want)
		}
	}
}
