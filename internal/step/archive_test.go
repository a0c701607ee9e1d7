package step_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kiln-build/kiln/internal/plan"
)

// archive makes a tar of headers; content is that of regular files.
func archive(t testing.TB, content string, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		h.ModTime = old
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// add is ADD of one file, which is content, to dest.
func add(t *testing.T, content string, op plan.Copy, dest ...string) string {
	t.Helper()
	src := view("t.tar")
	src.contents["t.tar"] = content
	e := src.entries["t.tar"]
	e.Size = int64(len(content))
	src.entries["t.tar"] = e
	if op.Sources == nil {
		op.Sources = paths("t.tar")
	}
	op.Add = true
	delta, err := copier(t).Copy(t.Context(), &op, src, view(dest...))
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.Join(describe(t, delta), "\n")
}

func TestAddUnpacksByContent(t *testing.T) {
	plain := archive(t, "x", tar.Header{Name: "f", Mode: 0o600})
	packed := map[string]string{"plain": plain, "gzip": pack(t, plain), "zstd": packZstd(t, plain)}
	for _, tool := range []string{"bzip2", "xz"} {
		cmd := exec.CommandContext(t.Context(), tool, "-c")
		cmd.Stdin = strings.NewReader(plain)
		out, err := cmd.Output()
		if err != nil {
			t.Logf("%s is not tried: %v", tool, err)
			continue
		}
		packed[tool] = string(out)
	}
	for name, content := range packed {
		t.Run(name, func(t *testing.T) {
			if got, want := add(t, content, plan.Copy{Dest: "/d"}), "d/\nd/f=x 600 0:0"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func pack(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packZstd(t *testing.T, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func TestAddCopiesWhatIsNoArchive(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "text": "hello", "gzip of text": pack(t, "hello"), "zeros": strings.Repeat("\x00", 2048),
		"gzip magic only": "\x1f\x8b\x08",
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := add(t, content, plan.Copy{Dest: "/d"}), "d="+content; got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func TestAddUnpacks(t *testing.T) {
	yes, no := true, false
	const dir, link, hard = tar.TypeDir, tar.TypeSymlink, tar.TypeLink
	tests := []struct {
		name    string
		members []tar.Header
		dest    []string
		op      plan.Copy
		want    string
	}{
		{"owners and modes of the archive", []tar.Header{{Name: "d/", Typeflag: dir, Mode: 0o2750, Uid: 5, Gid: 6}, {Name: "d/f", Mode: 0o4755, Uid: 7, Gid: 8}}, nil,
			plan.Copy{Dest: "/"}, "d/ 2750 5:6\nd/f=x 4755 7:8"},
		{"--chown", []tar.Header{{Name: "f", Mode: 0o600, Uid: 7, Gid: 8}}, nil, plan.Copy{Dest: "/n/", Chown: "1:2"}, "n/ 755 1:2\nn/f=x 600 1:2"},
		{"--chmod does nothing", []tar.Header{{Name: "f", Mode: 0o600}}, nil, plan.Copy{Dest: "/n/", Chmod: "777"}, "n/\nn/f=x 600 0:0"},
		{"--unpack=false", []tar.Header{}, nil, plan.Copy{Dest: "/n", Unpack: &no}, "n=" + archive(t, "x")},
		{"the entry of the root is left out", []tar.Header{{Name: "./", Typeflag: dir, Mode: 0o700, Uid: 5}, {Name: "./f", Mode: 0o644}}, []string{"n/ 711 1:1"},
			plan.Copy{Dest: "/n", Unpack: &yes}, "n/f=x"},
		{"directories nobody mentioned are root's", []tar.Header{{Name: "a/b/f", Mode: 0o644}}, nil, plan.Copy{Dest: "/", Chown: "1:2"}, "a/\na/b/\na/b/f=x 644 1:2"},
		{"a directory is merged and changed", []tar.Header{{Name: "d/", Typeflag: dir, Mode: 0o700, Uid: 5}}, []string{"d/f", "d/g"}, plan.Copy{Dest: "/"}, "d/ 700 5:0"},
		{"a file takes a directory's place", []tar.Header{{Name: "d", Mode: 0o644}}, []string{"d/f"}, plan.Copy{Dest: "/"}, "d=x"},
		{"a directory takes a file's place", []tar.Header{{Name: "d/", Typeflag: dir, Mode: 0o755}}, []string{"d"}, plan.Copy{Dest: "/"}, "d/"},
		{"directory, file, and a new directory", []tar.Header{{Name: "d", Mode: 0o644}, {Name: "d/", Typeflag: dir, Mode: 0o755}, {Name: "d/g", Mode: 0o644}}, []string{"d/f"},
			plan.Copy{Dest: "/"}, "d opaque\nd/\nd/g=x"},
		{"a name twice: the last stays", []tar.Header{{Name: "f", Mode: 0o600}, {Name: "f", Mode: 0o644}}, nil, plan.Copy{Dest: "/"}, "f=x"},
		{"hard links", []tar.Header{{Name: "b", Mode: 0o644}, {Name: "a", Typeflag: hard, Linkname: "b", Mode: 0o644}}, nil, plan.Copy{Dest: "/n/"}, "n/\nn/a=x\nn/b => n/a"},
		{"a hard link to a file of the image", []tar.Header{{Name: "a", Typeflag: hard, Linkname: "b", Mode: 0o640, Uid: 2}}, []string{"b=y 600 1:1"}, plan.Copy{Dest: "/"},
			"a=y 640 2:0\nb => a 640 2:0"},
		{"a hard link to itself", []tar.Header{{Name: "a", Typeflag: hard, Linkname: "a"}}, []string{"a"}, plan.Copy{Dest: "/"}, "error: unpack t.tar: a: link a: file does not exist"},
		{"a hard link to nothing", []tar.Header{{Name: "a", Typeflag: hard, Linkname: "b"}}, nil, plan.Copy{Dest: "/"}, "error: unpack t.tar: a: link b: file does not exist"},
		{"links are made as they are", []tar.Header{{Name: "l", Typeflag: link, Linkname: "../../x"}}, nil, plan.Copy{Dest: "/"}, "l -> ../../x 0 0:0"},
		{"links are followed", []tar.Header{{Name: "l", Typeflag: link, Linkname: "d", Mode: 0o777}, {Name: "d/", Typeflag: dir, Mode: 0o755}, {Name: "l/f", Mode: 0o644}}, nil,
			plan.Copy{Dest: "/"}, "d/\nd/f=x\nl -> d"},
		{"absolute links start at the destination", []tar.Header{{Name: "var/run/f", Mode: 0o644}}, []string{"n/var/run -> /run", "n/run/"}, plan.Copy{Dest: "/n"}, "n/run/f=x"},
		{"links cannot leave the destination", []tar.Header{{Name: "l/f", Mode: 0o644}}, []string{"n/l -> ../../etc"}, plan.Copy{Dest: "/n"}, "n/etc/\nn/etc/f=x"},
		{"names cannot leave the destination", []tar.Header{{Name: "../f", Mode: 0o644}}, nil, plan.Copy{Dest: "/n"}, "error: unpack t.tar: ../f: leads out of the destination"},
		{"absolute names", []tar.Header{{Name: "/f", Mode: 0o644}}, nil, plan.Copy{Dest: "/n"}, "n/\nn/f=x"},
		{"the destination is a link", []tar.Header{{Name: "f", Mode: 0o644}}, []string{"n -> m", "m/"}, plan.Copy{Dest: "/n"}, "m/f=x"},
		{"devices", []tar.Header{{Name: "c", Typeflag: tar.TypeChar, Mode: 0o600, Devmajor: 1, Devminor: 3}, {Name: "p", Typeflag: tar.TypeFifo, Mode: 0o644}}, nil,
			plan.Copy{Dest: "/"}, "c type 5 1:3 600 0:0\np type 7 0:0"},
		{"whiteouts are not wanted", []tar.Header{{Name: ".wh.f", Mode: 0o644}}, nil, plan.Copy{Dest: "/"},
			"error: unpack t.tar: .wh.f: a layer cannot hold .wh.f: a name that starts with .wh. means a deletion"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := add(t, archive(t, "x", test.members...), test.op, test.dest...); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAddKeepsCapabilitiesOnly(t *testing.T) {
	content := archive(t, "x", tar.Header{Name: "f", Mode: 0o755, PAXRecords: map[string]string{
		"SCHILY.xattr.security.capability": "\x01\x02", "SCHILY.xattr.user.note": "n",
	}})
	src := view("t.tar")
	src.contents["t.tar"] = content
	delta, err := copier(t).Copy(t.Context(), &plan.Copy{Add: true, Sources: paths("t.tar"), Dest: "/"}, src, view())
	if err != nil {
		t.Fatal(err)
	}
	xattrs := delta.Entries()[0].Xattrs
	if len(xattrs) != 1 || xattrs["security.capability"] != "\x01\x02" {
		t.Errorf("xattrs are %q, want the capability", xattrs)
	}
	if got := delta.Entries()[0].ModTime; !got.Equal(old) {
		t.Errorf("time is %v, want %v", got, old)
	}
}

func TestAddFailsOnABrokenArchive(t *testing.T) {
	content := archive(t, strings.Repeat("x", 5000), tar.Header{Name: "f", Mode: 0o600, ModTime: time.Time{}})
	got := add(t, content[:3000], plan.Copy{Dest: "/"})
	if !strings.HasPrefix(got, "error: unpack t.tar: f: ") {
		t.Errorf("a truncated archive gives %q", got)
	}
}

// FuzzUnpack adds anything as an archive: whatever it is, it stays inside the
// destination, and what comes of it is a layer.
func FuzzUnpack(f *testing.F) {
	const dir, link, hard = tar.TypeDir, tar.TypeSymlink, tar.TypeLink
	for _, members := range [][]tar.Header{
		{{Name: "d/", Typeflag: dir}, {Name: "d/f"}, {Name: "d"}, {Name: "h", Typeflag: hard, Linkname: "d"}},
		{{Name: "l", Typeflag: link, Linkname: "../../etc"}, {Name: "l/x"}, {Name: "l", Typeflag: hard, Linkname: "l/x"}},
		{{Name: "here/x", Typeflag: hard, Linkname: "here/f"}, {Name: "here"}, {Name: "here/", Typeflag: dir}},
	} {
		f.Add([]byte(archive(f, "x", members...)))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<16 {
			t.Skip()
		}
		src := view("t.tar=" + "x")
		src.contents["t.tar"] = string(content)
		e := src.entries["t.tar"]
		e.Size = int64(len(content))
		src.entries["t.tar"] = e
		op := &plan.Copy{Add: true, Sources: paths("t.tar"), Dest: "/in/here/"}
		delta, err := copier(t).Copy(t.Context(), op, src, view("in/here/f", "in/here/out -> ../../etc", "etc/x"))
		if err != nil {
			return
		}
		requireValid(t, delta)
		for _, e := range delta.Entries() {
			if e.Path != "in/here" && !strings.HasPrefix(e.Path, "in/here/") {
				t.Errorf("%s is outside of the destination", e.Path)
			}
		}
	})
}
