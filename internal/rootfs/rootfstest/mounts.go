package rootfstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
)

func testMounts(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *Bench)
	}{
		{"host directory", testHostDir},
		{"host file", testHostFile},
		{"file of the process", testProcessFile},
		{"tmpfs", testTmpfs},
		{"layers", testLayerMounts},
		{"one on another", testNestedMounts},
		{"two in the same place", testSamePlace},
		{"place with content", testCoveredPlace},
		{"what is missing", testMissingSource},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, b.in(t)) })
	}
}

// with adds a mount.
func with(m proc.Mount) func(*proc.Spec) {
	return func(p *proc.Spec) { p.Mounts = append(p.Mounts, m) }
}

func hostPath(target, path string, readOnly bool) func(*proc.Spec) {
	return with(proc.Mount{Target: target, ReadOnly: readOnly, Source: proc.MountSource{Path: path}})
}

func testHostDir(t *testing.T, b *Bench) {
	r := b.Open()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Shows("host", `cat /a/b/f`, hostPath("/a/b", dir, true))
	if _, err := r.Try(`touch /a/b/g`, hostPath("/a/b", dir, true)); err == nil && b.isolated() {
		t.Error("a read-only mount takes a new file")
	}
	r.Do(`echo new >/a/b/g`, hostPath("/a/b", dir, false))
	if data, err := os.ReadFile(filepath.Join(dir, "g")); err != nil || string(data) != "new\n" {
		t.Errorf("the host sees %q, %v", data, err)
	}
	r.Changes()

	r.Do(`echo kept >/a/c`, hostPath("/a/b", dir, false))
	r.Changes(`dir 755 a`, `file 644 a/c "kept\n"`)
}

func testProcessFile(t *testing.T, b *Bench) {
	r := b.Open()
	secret := with(proc.Mount{Target: "/run/secrets/key", ReadOnly: true, Source: proc.MountSource{
		File: &proc.File{Content: []byte("s3cret"), Mode: 0o400},
	}})
	r.Shows("400 s3cret", `stat -c %a /run/secrets/key | tr '\n' ' '; cat /run/secrets/key`, secret)
	r.Changes()
	if _, err := r.Try(`cat /run/secrets/key`); err == nil {
		t.Error("the file is there for the next process")
	}
}

func testHostFile(t *testing.T, b *Bench) {
	r := b.Open()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush"), 0o400); err != nil {
		t.Fatal(err)
	}
	r.Shows("hush", `cat /run/secrets/s`, hostPath("/run/secrets/s", secret, true))
	if _, err := r.Try(`echo x >/run/secrets/s`, hostPath("/run/secrets/s", secret, true)); err == nil && b.isolated() {
		t.Error("a read-only file is written")
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "hush" {
		t.Errorf("the host sees %q, %v", data, err)
	}
	r.Changes()
}

func testTmpfs(t *testing.T, b *Bench) {
	r := b.Open()
	tmpfs := with(proc.Mount{Target: "/tmp/t", Source: proc.MountSource{Tmpfs: &proc.Tmpfs{Size: 1 << 20, Mode: 0o1770}}})
	r.Shows("1770", `touch /tmp/t/f; stat -c %a /tmp/t`, tmpfs)
	if _, err := r.Try(`dd if=/dev/zero of=/tmp/t/f bs=1M count=2`, tmpfs); err == nil && b.isolated() {
		t.Error("a tmpfs of 1 MiB takes 2 MiB")
	}
	r.Changes()
}

func testLayerMounts(t *testing.T, b *Bench) {
	r := b.Open()
	layers := []*layer.Layer{
		b.Layer(Dir("src", 0o755), File("src/a", 0o644, "1"), File("src/b", 0o644, "1"), Symlink("link", "/src")),
		b.Layer(Gone("src/b"), File("src/c", 0o644, "2")),
	}
	shown := func(path string, layers []*layer.Layer, discard bool) func(*proc.Spec) {
		return with(proc.Mount{Target: "/m", Source: proc.MountSource{Path: path, Layers: layers, Discard: discard}})
	}
	r.Shows("a\nc", `ls /m`, shown("/src", layers, false))
	r.Shows("a\nb", `ls /m`, shown("/link", layers[:1], false))
	r.Shows("link\nsrc", `ls /m`, shown("/", layers, false))
	r.Shows("2", `cat /m`, shown("/src/c", layers, false))
	if _, err := r.Try(`touch /m/x`, shown("/src", layers, false)); err == nil && b.isolated() {
		t.Error("a mount of layers takes a new file")
	}
	r.Shows("c\nd", `rm /m/a; echo x >/m/d; ls /m`, shown("/src", layers, true))
	r.Shows("a\nc", `ls /m`, shown("/src", layers, true))
	r.Changes()
}

func testNestedMounts(t *testing.T, b *Bench) {
	r := b.Open()
	outer, inner := t.TempDir(), t.TempDir()
	r.Do(`echo x >/o/i/f`, hostPath("/o", outer, false), hostPath("/o/i", inner, false))
	if _, err := os.Stat(filepath.Join(inner, "f")); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(outer); err != nil || len(left) != 0 {
		t.Errorf("the outer directory holds %v, %v afterwards", left, err)
	}
	r.Changes()
}

func testSamePlace(t *testing.T, b *Bench) {
	r := b.Open()
	first, second := t.TempDir(), t.TempDir()
	r.Do(`touch /p/f`, hostPath("/p", first, false), hostPath("/p", second, false))
	if _, err := os.Stat(filepath.Join(second, "f")); err != nil {
		t.Error(err)
	}
	r.Changes()
}

func testCoveredPlace(t *testing.T, b *Bench) {
	r := b.Open(b.Layer(Dir("d", 0o700), File("d/f", 0o644, "under"), Symlink("l", "d")))
	r.Shows("", `ls /d`, hostPath("/d", t.TempDir(), false))
	r.Shows("", `ls /d`, hostPath("/l", t.TempDir(), false))
	r.Changes()
	r.Shows("under", `cat /d/f`)
}

func testMissingSource(t *testing.T, b *Bench) {
	r := b.Open()
	layers := []*layer.Layer{b.Layer(File("f", 0o644, ""))}
	for name, source := range map[string]proc.MountSource{
		"host":   {Path: filepath.Join(t.TempDir(), "nothing")},
		"layers": {Path: "/nothing", Layers: layers},
	} {
		if _, err := r.Try(`true`, with(proc.Mount{Target: "/m", Source: source})); err == nil {
			t.Errorf("%s: what does not exist is mounted", name)
		}
	}
	if _, err := r.Try(`true`, hostPath("/bin/sh", t.TempDir(), true)); err == nil {
		t.Error("a directory is mounted on a file")
	}
}
