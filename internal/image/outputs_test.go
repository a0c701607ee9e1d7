package image_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/store"
	"github.com/kiln-build/kiln/internal/testenv"
	"github.com/kiln-build/kiln/internal/tree"
)

// output is a way to write an image and to read it back with other programs.
// All of them have to show the same files.
type output struct {
	write func(ctx context.Context, path string, img *image.Image, view tree.View) error
	// unpack makes a directory of what write has made of path.
	unpack func(t *testing.T, path string) (dir string)
	// oneOwner says that all files belong to whoever unpacks.
	oneOwner bool
}

const testName = "registry.example.com/team/app:1"

func outputs() map[string]output {
	archive := func(write func(context.Context, io.Writer, *image.Image, []string) error) func(context.Context, string, *image.Image, tree.View) error {
		return func(ctx context.Context, path string, img *image.Image, _ tree.View) error {
			return image.Replace(path, func(w io.Writer) error { return write(ctx, w, img, []string{testName}) })
		}
	}
	return map[string]output{
		"oci": {
			write:  archive(image.WriteOCI),
			unpack: func(t *testing.T, path string) string { return unpackImage(t, "oci-archive:"+path) },
		},
		"docker": {
			write:  archive(image.WriteDocker),
			unpack: func(t *testing.T, path string) string { return unpackImage(t, "docker-archive:"+path+":"+testName) },
		},
		"oci-layout": {
			write: func(ctx context.Context, path string, img *image.Image, _ tree.View) error {
				return image.WriteLayout(ctx, path, img, []string{testName})
			},
			unpack: func(t *testing.T, path string) string { return unpackImage(t, "oci:"+path) },
		},
		"tar": {
			write: func(ctx context.Context, path string, _ *image.Image, view tree.View) error {
				return image.Replace(path, func(w io.Writer) error { return image.WriteTar(ctx, w, view) })
			},
			unpack: func(t *testing.T, path string) string {
				dir := t.TempDir()
				run(t, "tar", "-xpf", path, "-C", dir)
				return dir
			},
		},
		"local": {
			write: func(ctx context.Context, path string, _ *image.Image, view tree.View) error {
				return image.WriteFiles(ctx, path, view)
			},
			unpack:   func(_ *testing.T, path string) string { return path },
			oneOwner: true,
		},
	}
}

// unpackImage has skopeo read an image, which verifies all of its digests, and
// umoci unpack it, which knows gzip only.
func unpackImage(t *testing.T, ref string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, testenv.RequireTool(t, "skopeo"), "copy", "--quiet", "--dest-compress-format", "gzip", ref, "oci:"+dir+"/copy:x")
	unpack := []string{"unpack", "--image", dir + "/copy:x", dir + "/bundle"}
	if os.Geteuid() != 0 {
		unpack = append([]string{"unpack", "--rootless"}, unpack[1:]...)
	}
	run(t, testenv.RequireTool(t, "umoci"), unpack...)
	return dir + "/bundle/rootfs"
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

func TestAllOutputsShowTheSameFiles(t *testing.T) {
	want := map[string]string{
		"bin":             "dir 755 0:0",
		"bin/su":          "file 4755 0:0 a program",
		"etc":             "dir 755 0:0",
		"etc/motd":        "file 600 0:0 new",
		"lib":             "link usr/lib",
		"opt":             "dir 755 0:0",
		"opt/a-name":      "file 644 0:0 shared",
		"opt/app":         "dir 2775 1000:1000",
		"opt/app/data":    "file 640 1000:50 data",
		"opt/app/" + long: "file 644 0:0 long",
		"opt/first":       "same as opt/a-name",
		"opt/second":      "same as opt/a-name",
		"var":             "dir 1777 0:0",
	}
	for _, format := range []struct {
		docker      bool
		compression layer.Compression
	}{{false, layer.Gzip}, {true, layer.Gzip}, {false, layer.Zstd}, {false, layer.None}} {
		img, view := sampleImage(t, format.docker, format.compression)
		for name, out := range outputs() {
			t.Run(fmt.Sprintf("%s/docker=%v/%s", name, format.docker, format.compression), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "out")
				if err := out.write(t.Context(), path, img, view); err != nil {
					t.Fatal(err)
				}
				oneOwner := out.oneOwner || os.Geteuid() != 0
				compare(t, describe(t, out.unpack(t, path), oneOwner), want, oneOwner)
			})
		}
	}
}

func compare(t *testing.T, got, want map[string]string, oneOwner bool) {
	t.Helper()
	want = maps.Clone(want)
	for path, is := range want {
		if fields := strings.Fields(is); oneOwner && len(fields) > 2 && strings.Contains(fields[2], ":") {
			want[path] = strings.Replace(is, fields[2], "*", 1)
		}
		if got[path] != want[path] {
			t.Errorf("%s is %q, want %q", path, got[path], want[path])
		}
	}
	for path, is := range got {
		if want[path] == "" {
			t.Errorf("%s is %q, and should not be", path, is)
		}
	}
}

// describe tells what is in a directory, by path.
func describe(t *testing.T, dir string, oneOwner bool) map[string]string {
	t.Helper()
	shown := make(map[string]string)
	names := make(map[uint64]string) // by inode
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		owner := fmt.Sprintf("%d:%d", st.Uid, st.Gid)
		if oneOwner {
			owner = "*"
		}
		switch first := names[st.Ino]; {
		case d.IsDir():
			shown[name] = fmt.Sprintf("dir %o %s", st.Mode&0o7777, owner)
		case first != "":
			shown[name] = "same as " + first
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			names[st.Ino] = name
			shown[name] = fmt.Sprintf("file %o %s %s", st.Mode&0o7777, owner, content)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			shown[name] = "link " + target
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

// long is a name that does not fit into the fields of an old tar.
const long = "a-name-that-is-longer-than-the-hundred-bytes-which-the-name-field-of-a-tar-header-offers-to-those-who-write-one"

// sampleImage has what images are made of: set-id bits, owners, links, and in
// its upper layers files that are replaced, deleted, and changed in their mode
// alone; the last layer is there twice.
func sampleImage(t *testing.T, docker bool, c layer.Compression) (*image.Image, tree.View) {
	t.Helper()
	return sampleIn(t, openStore(t), docker, c)
}

func sampleIn(t *testing.T, s *store.Store, docker bool, c layer.Compression) (*image.Image, tree.View) {
	t.Helper()
	lower := sample{
		{Path: "bin", Type: layer.Dir, Mode: 0o755},
		{Path: "bin/su", Type: layer.Regular, Mode: 0o4755},
		{Path: "etc", Type: layer.Dir, Mode: 0o755},
		{Path: "etc/motd", Type: layer.Regular, Mode: 0o644},
		{Path: "etc/old", Type: layer.Dir, Mode: 0o755},
		{Path: "etc/old/file", Type: layer.Regular, Mode: 0o644},
		{Path: "lib", Type: layer.Symlink, Mode: 0o777, Linkname: "usr/lib"},
		{Path: "opt", Type: layer.Dir, Mode: 0o755},
		{Path: "opt/app", Type: layer.Dir, Mode: 0o2775, UID: 1000, GID: 1000},
		{Path: "opt/app/" + long, Type: layer.Regular, Mode: 0o644},
		{Path: "opt/app/data", Type: layer.Regular, Mode: 0o640, UID: 1000, GID: 50},
		{Path: "opt/first", Type: layer.Regular, Mode: 0o644},
		{Path: "opt/second", Type: layer.Link, Linkname: "opt/first"},
		{Path: "var", Type: layer.Dir, Mode: 0o755},
	}
	upper := sample{
		{Path: "etc/motd", Type: layer.Regular, Mode: 0o600},
		{Path: "etc/old", Type: layer.Whiteout},
		{Path: "opt/a-name", Type: layer.Link, Linkname: "opt/first"},
		{Path: "var", Type: layer.Dir, Mode: 0o1777},
	}
	w := layer.NewWriter(s, layer.Options{Compression: c, Docker: docker})
	layers := []*layer.Layer{w.Write(t.Context(), lower), w.Write(t.Context(), upper)}
	layers = append(layers, w.Write(t.Context(), layer.Empty{}), w.Write(t.Context(), layer.Empty{}))
	config := &dockerspec.DockerOCIImage{}
	config.Platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	img, err := image.Assemble(t.Context(), image.Source{Config: config, Layers: layers}, image.Options{Docker: docker, Created: day(1)})
	if err != nil {
		t.Fatal(err)
	}
	return img, viewOf(t, s, layers)
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func viewOf(t *testing.T, s *store.Store, layers []*layer.Layer) tree.View {
	t.Helper()
	contents := tree.NewContents(s)
	t.Cleanup(func() {
		if err := contents.Close(); err != nil {
			t.Error(err)
		}
	})
	view, err := tree.Load(t.Context(), layers, contents)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// sample is a delta whose files have a content by their name.
type sample []layer.Entry

var _ layer.Delta = sample{}

func contentOf(e layer.Entry) string {
	switch {
	case e.Path == "bin/su":
		return "a program"
	case e.Path == "etc/motd" && e.Mode == 0o600:
		return "new"
	case e.Path == "opt/first":
		return "shared"
	case strings.HasSuffix(e.Path, long):
		return "long"
	}
	return filepath.Base(e.Path)
}

// Entries implements layer.Delta.
func (d sample) Entries() []layer.Entry {
	entries := make([]layer.Entry, len(d))
	for i, e := range d {
		if e.Type == layer.Regular {
			e.Size, e.Content = int64(len(contentOf(e))), sha256.Sum256([]byte(contentOf(e)))
		}
		e.ModTime = day(1)
		entries[i] = e
	}
	return entries
}

// Open implements layer.Delta.
func (d sample) Open(_ context.Context, i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(contentOf(d[i]))), nil
}

// Stable is false, so that files are read from the blobs.
func (d sample) Stable() bool                { return false }
func (d sample) Release(digest.Digest) error { return nil }
