package rootfstest

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/store"
)

// Bench is what a test works with: an engine and a way to make layers for it.
type Bench struct {
	testing.TB
	Engine rootfs.Engine
	Store  *store.Store

	writer *layer.Writer
	base   *layer.Layer
	// later is an engine that has seen nothing yet, as on another day.
	later rootfs.Engine
	// tool are the mounts that every process in a test sees.
	tool []proc.Mount
	// open is what is open of an engine that has one root filesystem at a time.
	open **Root
}

// isolated reports whether processes have namespaces of their own. Without
// them there are no mounts, and so nothing that is read-only or has a size of
// its own.
func (b *Bench) isolated() bool { return b.Engine.Parallel() }

// NewBench makes a bench with an engine over a store of its own. It skips the
// test where busybox is missing.
func NewBench(t testing.TB, newEngine NewEngine) *Bench {
	t.Helper()
	s := openStore(t)
	b := &Bench{TB: t, Store: s, open: new(*Root), Engine: newEngine(t, s), later: newEngine(t, openStore(t))}
	b.writer = layer.NewWriter(s, layer.Options{Compression: layer.None, Indexes: s})
	b.base = b.busybox()
	b.tool = toolMounts(t)
	return b
}

func openStore(t testing.TB) *store.Store {
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

// busybox returns a layer of busybox, its applets and a few directories.
func (b *Bench) busybox() *layer.Layer {
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		b.Skipf("needs the package busybox-static: %v", err)
	}
	tree := Tree{
		Dir("bin", 0o755), File("bin/busybox", 0o755, string(data)),
		Dir("dev", 0o755), Dir("etc", 0o755),
		File("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nfox:x:12:34::/home/fox:/bin/sh\n"),
		File("etc/group", 0o644, "root:x:0:\nfoxes:x:34:\nhens:x:56:fox\n"),
		Dir("proc", 0o755), Dir("root", 0o700), Dir("sys", 0o755), Dir("tmp", 0o1777),
	}
	for name := range strings.FieldsSeq(`[ basename cat chgrp chmod chown chroot cp cut date dd echo env false find
		grep head hostname id ifconfig kill ln ls md5sum mkdir mkfifo mknod mount mv nc od printf ps pwd readlink rm rmdir
		seq setsid sh sleep sort stat tail tee test touch tr true truncate umount unlink wc xargs`) {
		tree = append(tree, Symlink("bin/"+name, "busybox"))
	}
	return b.Layer(tree...)
}

// Layer returns a finished layer as one of a base image is: known by its blob.
func (b *Bench) Layer(files ...TreeFile) *layer.Layer {
	b.Helper()
	return b.remote(b.writer.Write(b.Context(), newTreeDelta(files)))
}

// Pending returns a layer that is being written, as a COPY makes it.
func (b *Bench) Pending(files ...TreeFile) *layer.Layer {
	return b.writer.Write(b.Context(), newTreeDelta(files))
}

// remote returns l as a later build finds it.
func (b *Bench) remote(l *layer.Layer) *layer.Layer {
	b.Helper()
	desc, err := l.Descriptor(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	diffID, err := l.DiffID(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	source, err := l.Blob(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return layer.Remote(desc, diffID, source, b.Store)
}

// Root is a root filesystem in a test.
type Root struct {
	*Bench
	FS rootfs.FS
	// layers are those it shows.
	layers []*layer.Layer
	closed bool
}

// Open opens a root filesystem of busybox and the layers over it. It is closed
// at the end of the test.
func (b *Bench) Open(over ...*layer.Layer) *Root {
	b.Helper()
	return b.OpenOnly(append([]*layer.Layer{b.base}, over...)...)
}

// OpenOnly is Open without busybox. An engine that has one root filesystem at a
// time loses the one before.
func (b *Bench) OpenOnly(layers ...*layer.Layer) *Root {
	b.Helper()
	if !b.Engine.Parallel() && *b.open != nil {
		(*b.open).close()
	}
	fs, err := b.Engine.Open(b.Context(), layers)
	if err != nil {
		b.Fatal(err)
	}
	r := &Root{Bench: b, FS: fs, layers: slices.Clone(layers)}
	*b.open = r
	b.Cleanup(r.close)
	return r
}

// close closes the root filesystem, unless that has been done.
func (r *Root) close() {
	r.Helper()
	if r.closed {
		return
	}
	r.closed = true
	if err := r.FS.Close(); err != nil {
		r.Errorf("close: %v", err)
	}
}

// spec returns a process that runs script in busybox's shell, with /tool.
func (r *Root) spec(script string) proc.Spec {
	r.Helper()
	return proc.Spec{
		Args: []string{"/bin/sh", "-e", "-c", script}, Env: []string{"PATH=/bin"}, Dir: "/",
		Mounts: slices.Clone(r.tool),
	}
}

// toolMounts shows the test binary at /tool, and the libraries of the host if
// it needs them.
func toolMounts(t testing.TB) []proc.Mount {
	t.Helper()
	exe := copyOfSelf(t)
	paths := map[string]string{toolPath: exe}
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		for _, dir := range []string{"/lib", "/lib64", "/usr/lib"} {
			if _, err := os.Stat(dir); err == nil {
				paths[dir] = dir
			}
		}
	}
	var mounts []proc.Mount
	for target, source := range paths {
		mounts = append(mounts, proc.Mount{Target: target, ReadOnly: true, Source: proc.MountSource{Path: source}})
	}
	slices.SortFunc(mounts, func(a, b proc.Mount) int { return strings.Compare(a.Target, b.Target) })
	return mounts
}

// copyOfSelf returns a copy of the test binary: the binary itself may lie where
// an ordinary user cannot go.
func copyOfSelf(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tool")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Try runs a process made from script by changes and returns its output.
func (r *Root) Try(script string, changes ...func(*proc.Spec)) (string, error) {
	r.Helper()
	p := r.spec(script)
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, &out
	for _, change := range changes {
		change(&p)
	}
	err := r.FS.Run(r.Context(), p)
	return strings.TrimRight(out.String(), "\n"), err
}

// Do is Try for what has to succeed.
func (r *Root) Do(script string, changes ...func(*proc.Spec)) string {
	r.Helper()
	out, err := r.Try(script, changes...)
	if err != nil {
		r.Fatalf("run %q: %v\n%s", script, err, out)
	}
	return out
}

// Shows fails the test if script does not print want.
func (r *Root) Shows(want, script string, changes ...func(*proc.Spec)) {
	r.Helper()
	if got := r.Do(script, changes...); got != want {
		r.Errorf("%q prints\n%s\nwant\n%s", script, got, want)
	}
}

// Apply puts a layer on top.
func (r *Root) Apply(l *layer.Layer) {
	r.Helper()
	if err := r.FS.Apply(r.Context(), l); err != nil {
		r.Fatal(err)
	}
	r.layers = append(r.layers, l)
}

// Changes takes the diff and fails the test if it does not read as want, one
// line an entry (see describe). It returns the layer of it.
func (r *Root) Changes(want ...string) *layer.Layer {
	r.Helper()
	d, err := r.FS.Diff(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	got := r.describe(d)
	if !slices.Equal(got, want) {
		r.Errorf("the layer says\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	return r.written(d)
}

func (r *Root) written(d layer.Delta) *layer.Layer {
	r.Helper()
	l := r.writer.Write(r.Context(), d)
	if _, err := l.Descriptor(r.Context()); err != nil {
		r.Fatal(err)
	}
	r.layers = append(r.layers, l)
	return l
}

// describe returns a line for each entry: type, mode, owner unless 0:0, path,
// and what there is to say beyond that.
func (r *Root) describe(d layer.Delta) []string {
	r.Helper()
	var lines []string
	for i, e := range d.Entries() {
		lines = append(lines, r.describeEntry(d, i, e))
	}
	return lines
}

func (r *Root) describeEntry(d layer.Delta, i int, e layer.Entry) string {
	r.Helper()
	var b strings.Builder
	meta := func(kind string) {
		fmt.Fprintf(&b, "%s %o", kind, e.Mode)
		if e.UID != 0 || e.GID != 0 {
			fmt.Fprintf(&b, " %d:%d", e.UID, e.GID)
		}
		b.WriteString(" " + e.Path)
	}
	switch e.Type {
	case layer.Whiteout:
		return "gone " + e.Path
	case layer.Opaque:
		return "opaque " + e.Path
	case layer.Dir:
		meta("dir")
	case layer.Regular:
		meta("file")
		b.WriteString(" " + r.content(d, i, e))
	case layer.Symlink:
		fmt.Fprintf(&b, "symlink %s -> %s", e.Path, e.Linkname)
	case layer.Link:
		fmt.Fprintf(&b, "link %s = %s", e.Path, e.Linkname)
		return b.String()
	case layer.Char, layer.Block:
		meta(map[layer.Type]string{layer.Char: "char", layer.Block: "block"}[e.Type])
		fmt.Fprintf(&b, " %d:%d", e.Major, e.Minor)
	case layer.Fifo:
		meta("fifo")
	}
	for _, name := range slices.Sorted(keys(e.Xattrs)) {
		fmt.Fprintf(&b, " %s=%q", name, e.Xattrs[name])
	}
	return b.String()
}

// content returns a file's content, or its digest if it is long.
func (r *Root) content(d layer.Delta, i int, e layer.Entry) string {
	r.Helper()
	f, err := d.Open(r.Context(), i)
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	if e.Size > 100 {
		sum, err := digest.FromReader(f)
		if err != nil {
			r.Fatal(err)
		}
		return fmt.Sprintf("%d bytes %s", e.Size, sum.Encoded()[:8])
	}
	data, err := io.ReadAll(f)
	if err != nil {
		r.Fatal(err)
	}
	return fmt.Sprintf("%q", data)
}

// Listing returns everything that can be seen of the root filesystem but its
// content in /dev, /proc and /sys: the same in two of them if they are equal.
func (r *Root) Listing() string {
	r.Helper()
	list := `find / -xdev ! -path / ! -path '/etc/host*' ! -path /etc/resolv.conf`
	if !r.isolated() {
		list += ` ! -path '` + os.TempDir() + `/*' ! -path '/.kiln-*'` // kiln's folders are there to be seen
	}
	return r.Do(list+` -print0 | sort -z | xargs -0 stat -c '%n %F %a %u:%g %t:%T %N'
		`+list+` ! -type d -print0 | sort -z | xargs -0 stat -c '%n %s %Y'
		`+list+` -type f -print0 | sort -z | xargs -0 stat -c '%n %h'
		`+list+` -type f -print0 | sort -z | xargs -0 md5sum`, func(p *proc.Spec) { p.Mounts = nil })
}

// Reopened returns the root filesystem as a later build would open it, from
// the blobs of the layers and with nothing unpacked.
func (r *Root) Reopened() *Root {
	r.Helper()
	var layers []*layer.Layer
	for _, l := range r.layers {
		if l.Delta() != nil {
			l = r.remote(l)
		}
		layers = append(layers, l)
	}
	later := *r.Bench
	later.Engine = r.later
	return later.OpenOnly(layers...)
}

// long is a deadline for what takes no time when it works.
const long = 20 * time.Second

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
