package layer_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
)

func TestNamesAreContained(t *testing.T) {
	cases := map[string]string{
		"a": "a", "./a": "a", "/a": "a", "//a": "a", "a/": "a", "a/./b": "a/b", "a//b": "a/b", "a/../b": "b",
		"./": ".", "/": ".", ".": ".", "...": "...", "..a": "..a", "a\xffb": "a\xffb", "a\nb": "a\nb",
	}
	for name, want := range cases {
		entries, _ := read(t, changes(t, dir(name)))
		if len(entries) != 1 || entries[0].Path != want {
			t.Errorf("%q is read as %q, want %q", name, lines(entries), want)
		}
	}
}

func TestReadTarRefuses(t *testing.T) {
	cases := []struct {
		header tar.Header
		want   string
	}{
		{file("../a", ""), `entry "../a": name leaves the root`},
		{file("a/../../b", ""), `entry "a/../../b": name leaves the root`},
		{file("/../a", ""), `entry "/../a": name leaves the root`},
		{dir(".."), `entry "..": name leaves the root`},
		{file("", ""), `entry "": empty name`},
		{file(strings.Repeat("a/", 3000)+"b", ""), "path of 6001 bytes, 4095 is the most"},
		{file(".", ""), "the root is not a directory"},
		{file(".wh.", ""), `entry ".wh.": whiteout of no name`},
		{file("a/.wh..", ""), `entry "a/.wh..": whiteout of no name`},
		{file("a/.wh...", ""), `entry "a/.wh...": whiteout of no name`},
		{dir("a/.wh.b/c"), `entry "a/.wh.b/c": entry below a whiteout`},
		{file("a/.wh..wh..opq/b", ""), "entry below a whiteout"},
		{link("a", "../b"), `entry "a": hard link to "../b": name leaves the root`},
		{link("a", ""), `entry "a": hard link to "": empty name`},
		{link("a/b", "./a/b"), `entry "a/b": hard link to itself`},
		{symlink("a", ""), `entry "a": symbolic link without a target`},
		{symlink("a", strings.Repeat("x", 5000)), "symbolic link: path of 5000 bytes"},
		{tar.Header{Typeflag: 'V', Name: "label"}, `entry "label": type 'V' is not one of a file in an image`},
		{tar.Header{Typeflag: tar.TypeDir, Name: "a", Uid: 1 << 33}, `entry "a": owner 8589934592 is out of range`},
		{tar.Header{Typeflag: tar.TypeDir, Name: "a", Uid: 1<<32 - 1}, `entry "a": owner 4294967295 is out of range`},
		{tar.Header{Typeflag: tar.TypeDir, Name: "a", Gid: -1, Format: tar.FormatGNU}, `entry "a": group -1 is out of range`},
	}
	for _, c := range cases {
		err := firstError(changes(t, c.header))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v\nwant one that says %s", err, c.want)
		}
	}
}

func TestMarkers(t *testing.T) {
	cases := map[string]string{
		".wh.a":              "whiteout a\n",
		"d/.wh.a b":          "whiteout d/a b\n",
		"/d/.wh.a":           "whiteout d/a\n",
		"d/.wh.a.wh.b":       "whiteout d/a.wh.b\n",
		".wh..wh..opq":       "opaque .\n",
		"d/.wh..wh..opq":     "opaque d\n",
		".wh..wh.plnk":       "",
		".wh..wh.plnk/1.2":   "",
		"d/.wh..wh.aufs":     "",
		"d/.wh..wh.orph/a":   "",
		"d/.wh..wh..opq.not": "",
		"d/wh.a":             "file d/wh.a\n",
		"d/a.wh.":            "file d/a.wh.\n",
	}
	for name, want := range cases {
		entries, _ := read(t, changes(t, file(name, "")))
		if got := lines(entries); got != want {
			t.Errorf("%s is read as %q, want %q", name, got, want)
		}
	}
	asDir, _ := read(t, changes(t, dir("d/.wh.a/")))
	if got := lines(asDir); got != "whiteout d/a\n" {
		t.Errorf("a whiteout that is a directory is read as %q", got)
	}
}

func TestLinksOfTheSameTar(t *testing.T) {
	cases := []struct {
		name string
		tar  []tar.Header
		want string
	}{
		{"to a directory", []tar.Header{symlink("a", "b"), file("a/f", "")}, "b/f"},
		{"relative to where the link is", []tar.Header{symlink("d/a", "b/c"), file("d/a/f", "")}, "d/b/c/f"},
		{"absolute", []tar.Header{symlink("d/a", "/b"), file("d/a/f", "")}, "b/f"},
		{"up", []tar.Header{symlink("d/e/a", "../b"), file("d/e/a/f", "")}, "d/b/f"},
		{"up past the root", []tar.Header{symlink("a", "../../../etc"), file("a/f", "")}, "etc/f"},
		{"over another link", []tar.Header{symlink("a", "b"), symlink("b", "c"), file("a/f", "")}, "c/f"},
		{"to the root", []tar.Header{symlink("a", "/"), file("a/f", "")}, "f"},
		{"with a slash at the end", []tar.Header{symlink("a", "b/"), file("a/f", "")}, "b/f"},
		{"a link itself is not followed", []tar.Header{symlink("a", "b"), file("a", "")}, "a"},
		{"a link that is replaced", []tar.Header{symlink("a", "b"), dir("a/"), file("a/f", "")}, "a/f"},
		{"a link as a whiteout's directory", []tar.Header{symlink("a", "b"), file("a/.wh.f", "")}, "b/f"},
		{"a name that only begins like the link", []tar.Header{symlink("a", "b"), file("ab/f", "")}, "ab/f"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			entries, _ := read(t, changes(t, c.tar...))
			if got := entries[len(entries)-1].Path; got != c.want {
				t.Errorf("last entry is %s, want %s", got, c.want)
			}
		})
	}
	err := firstError(changes(t, symlink("a", "b"), symlink("b", "a"), file("a/f", "")))
	if err == nil || !strings.Contains(err.Error(), `"a/f": too many levels of symbolic links`) {
		t.Errorf("a loop of links: error is %v", err)
	}
	entries, _ := read(t, changes(t, symlink("a", "b"), file("b/f", ""), link("c", "a/f")))
	if got := entries[2].Linkname; got != "b/f" {
		t.Errorf("hard link below a link leads to %s, want b/f", got)
	}
}

func TestGlobalHeadersAreLeftOut(t *testing.T) {
	global := tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "made by git archive"}}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&global); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "a/"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _ := read(t, layer.ReadTar(&b))
	if got := lines(entries); got != "dir a\n" {
		t.Errorf("got %q", got)
	}
}

func TestTruncatedTar(t *testing.T) {
	whole := tarOf(t, file("a", strings.Repeat("x", 2000)), file("b", "y"))
	for _, n := range []int{100, 512, 1000, 2500, 2600, 3000, 3600} {
		if err := firstError(layer.ReadTar(bytes.NewReader(whole[:n]))); err == nil {
			t.Errorf("%d of %d bytes were taken for the whole", n, len(whole))
		}
	}
}

// tarCommand runs GNU tar in dir and returns the archive.
func tarCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("there is no GNU tar")
	}
	cmd := exec.Command("tar", append([]string{"-cf", "-", "--owner=0", "--group=0", "--sort=name"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tar: %v\n%s", err, stderr.String())
	}
	return out
}

func TestGNUTar(t *testing.T) {
	src := t.TempDir()
	deep := strings.Repeat("directory/", 30)
	if err := os.MkdirAll(filepath.Join(src, deep), 0o755); err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{
		deep + "file":            "deep",
		"sparse":                 strings.Repeat("\x00", 1<<20) + "end" + strings.Repeat("\x00", 1<<20),
		strings.Repeat("n", 250): "long",
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(src, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := punch(filepath.Join(src, "sparse"), contents["sparse"]); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "posix"} {
		for _, sparse := range [][]string{nil, {"--sparse"}, {"--sparse", "--sparse-version=0.1"}} {
			t.Run(fmt.Sprint(format, sparse), func(t *testing.T) {
				args := append([]string{"--format=" + format}, sparse...)
				_, got := read(t, layer.ReadTar(bytes.NewReader(tarCommand(t, src, append(args, ".")...))))
				for name, want := range contents {
					if got[name] != want {
						t.Errorf("%.20s has %d bytes, want %d", name, len(got[name]), len(want))
					}
				}
			})
		}
	}
}

// punch writes content so that zero bytes are a hole.
func punch(path, content string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	begin := strings.IndexFunc(content, func(r rune) bool { return r != 0 })
	text := strings.Trim(content, "\x00")
	if _, err := f.WriteAt([]byte(text), int64(begin)); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	return f.Close()
}

func TestWriteAndReadBack(t *testing.T) {
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		t.Run(c.String(), func(t *testing.T) {
			d := everyType()
			d.unstable = true // so that Changes reads the blob
			l, _ := write(t, d, layer.Options{Compression: c})
			got, contents := read(t, l.Changes(t.Context()))
			slices.SortStableFunc(got, func(a, b layer.Entry) int { return layer.Compare(a.Path, b.Path) })
			for i := range got[:len(got)-1] { // in the tar a directory comes before its marker
				if got[i+1].Type == layer.Opaque {
					got[i], got[i+1] = got[i+1], got[i]
				}
			}
			want := slices.Clone(d.entries)
			slices.SortStableFunc(want, func(a, b layer.Entry) int { return layer.Compare(a.Path, b.Path) })
			equalEntries(t, got, want)
			for path, want := range d.contents {
				if contents[path] != want {
					t.Errorf("%s holds %q, want %q", path, contents[path], want)
				}
			}
		})
	}
}

func FuzzReadTar(f *testing.F) {
	f.Add(tarOf(f, dir("a/"), file("a/b", "content"), symlink("l", "a"), file("l/.wh.c", ""), link("h", "a/b"), file("a/.wh..wh..opq", "")))
	f.Add(tarOf(f, file(strings.Repeat("long/", 50)+"name", "x"), symlink("../x", "y")))
	f.Fuzz(func(t *testing.T, data []byte) {
		for c, err := range layer.ReadTar(bytes.NewReader(data)) {
			if err != nil {
				return
			}
			if c.Path != "." && !filepath.IsLocal(c.Path) || c.Path != filepath.Clean(c.Path) {
				t.Errorf("path is %q", c.Path)
			}
			if c.Type == layer.Link && (!filepath.IsLocal(c.Linkname) || c.Linkname == c.Path) {
				t.Errorf("hard link %q to %q", c.Path, c.Linkname)
			}
			if strings.HasPrefix(layer.Base(c.Path), ".wh.") && c.Type != layer.Whiteout {
				t.Errorf("%q is no whiteout", c.Path)
			}
			if c.Reader != nil && c.Size < 1<<20 {
				n, err := io.Copy(io.Discard, c.Reader)
				if err == nil && n != c.Size {
					t.Errorf("%q has %d bytes, its entry says %d", c.Path, n, c.Size)
				}
			}
		}
	})
}
