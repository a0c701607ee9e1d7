package unpack_test

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/unpack"
)

// hostileTar makes a tar of a fuzzer's bytes: each entry takes a byte for its
// type, and one for every element of its name and its target.
func hostileTar(t *testing.T, program []byte) []byte {
	t.Helper()
	next := func() byte {
		if len(program) == 0 {
			return 0
		}
		b := program[0]
		program = program[1:]
		return b
	}
	elements := []string{
		"a", "b", "c", "up", "far", "abs", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh.up", "etc", "sentinel", "a",
	}
	name := func() string {
		b := next()
		var parts []string
		for range b%4 + 1 {
			parts = append(parts, elements[next()%16])
		}
		if b&0x80 != 0 {
			parts = append([]string{""}, parts...)
		}
		return strings.Join(parts, "/")
	}
	types := []byte{tar.TypeReg, tar.TypeReg, tar.TypeDir, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeReg}

	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for len(program) > 0 {
		h := &tar.Header{Typeflag: types[next()%8], Mode: 0o755, ModTime: when, Name: name()}
		if h.Typeflag != tar.TypeDir {
			h.Name = strings.TrimRight(h.Name, "/")
		}
		switch h.Typeflag {
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = name()
		case tar.TypeReg:
			h.Size = 1
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func seed(f *testing.F) {
	f.Add([]byte("\x04\x00\x03\x00\x01\x00\x01\x03\x0e"), []byte("\x00\x01\x03\x0e\x02\x00\x00\x05\x01\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x01\x04\x00\x01\x01\x00\x06"), []byte("\x00\x00\x09\x00\x01\x00\x0b"))
	f.Add([]byte("\x04\x01\x00\x01\x01\x01\x00\x06\x00\x01\x00\x01\x05\x00\x02\x01\x00\x01"), []byte("\x02\x00\x00\x05\x01\x00\x01\x01\x00\x00"))
}

// FuzzNothingIsWrittenOutside unpacks two hostile tars, one on top of the
// other, beside directories that must not change.
func FuzzNothingIsWrittenOutside(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		for _, whiteouts := range []unpack.Whiteouts{unpack.Remove, unpack.OverlayUserXattr} {
			base := t.TempDir()
			root := filepath.Join(base, "a", "root")
			for _, dir := range []string{root, filepath.Join(base, "a", "b"), filepath.Join(base, "etc")} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"sentinel", "a/sentinel", "a/b/sentinel", "etc/sentinel"} {
				if err := os.WriteFile(filepath.Join(base, name), []byte(name), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			// Links out of the root, as a hostile layer below may have them.
			for name, target := range map[string]string{"up": "..", "far": "../../..", "abs": base} {
				if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
					t.Fatal(err)
				}
			}
			before := outside(t, base, root)
			o := options()
			o.Whiteouts = whiteouts
			for _, program := range [][]byte{lower, upper} {
				// Whether it succeeds does not matter here.
				_ = apply(t, root, layer.ReadTar(bytes.NewReader(hostileTar(t, program))), o)
			}
			if after := outside(t, base, root); !slices.Equal(before, after) {
				t.Errorf("outside of the root was\n%q\nand is\n%q", before, after)
			}
		}
	})
}

// outside describes what is below base but not below root.
func outside(t *testing.T, base, root string) []string {
	t.Helper()
	var lines []string
	for _, line := range snapshot(t, base) {
		rel, err := filepath.Rel(base, root)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(line, rel+"/") && !strings.HasPrefix(line, rel+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// FuzzIndexShowsWhatIsUnpacked holds what reading a tar says beside what
// unpacking it makes.
func FuzzIndexShowsWhatIsUnpacked(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		data := hostileTar(t, append(slices.Clone(first), second...))
		index, err := layer.BuildIndex(layer.ReadTar(bytes.NewReader(data)))
		if err != nil {
			return
		}
		root := t.TempDir()
		if err := apply(t, root, layer.ReadTar(bytes.NewReader(data)), options()); err != nil {
			return // for one, hard links to what only a layer below may have
		}
		if got, want := onDisk(t, root), inIndex(index); !slices.Equal(got, want) {
			t.Errorf("unpacked\n%q\nthe index has\n%q", got, want)
		}
	})
}

// onDisk lists what is below dir with its type.
func onDisk(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		list = append(list, rel+" "+e.Type().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// inIndex lists what unpacking the index would make, also the directories that
// are only needed.
func inIndex(index layer.Index) []string {
	types := map[layer.Type]fs.FileMode{layer.Dir: fs.ModeDir, layer.Symlink: fs.ModeSymlink, layer.Fifo: fs.ModeNamedPipe}
	var list []string
	for _, e := range index {
		if e.Type == layer.Whiteout || e.Type == layer.Opaque || e.Path == "." {
			continue
		}
		is := e
		for is.Type == layer.Link {
			is, _ = index.Find(is.Linkname)
		}
		list = append(list, e.Path+" "+types[is.Type].String())
		for dir := layer.Parent(e.Path); dir != "."; dir = layer.Parent(dir) {
			list = append(list, dir+" "+fs.ModeDir.String())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
