package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// write writes d into a new directory and returns the layer, complete.
func write(t *testing.T, d layer.Delta, o layer.Options) (*layer.Layer, blobDir) {
	t.Helper()
	dir := blobDir(t.TempDir())
	l := layer.NewWriter(dir, o).Write(t.Context(), d)
	if _, err := l.Descriptor(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, dir
}

// bytesOf returns the uncompressed bytes of a layer.
func bytesOf(t *testing.T, l *layer.Layer) []byte {
	t.Helper()
	src, err := l.Blob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	r, _, err := layer.Decompress(blob)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// headers lists the headers of a layer's tar.
func headers(t *testing.T, l *layer.Layer) []*tar.Header {
	t.Helper()
	var list []*tar.Header
	r := tar.NewReader(bytes.NewReader(bytesOf(t, l)))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h)
	}
}

// everyType is a delta that holds one entry of every type and some hard names.
func everyType() *delta {
	d := &delta{}
	d.add(
		layer.Entry{Path: "dev", Type: layer.Dir, Mode: 0o755, ModTime: when},
		layer.Entry{Path: "dev/null", Type: layer.Char, Mode: 0o666, Major: 1, Minor: 3, ModTime: when},
		layer.Entry{Path: "dev/sda", Type: layer.Block, Mode: 0o660, GID: 6, Major: 8, ModTime: when},
		layer.Entry{Path: "etc", Type: layer.Opaque},
		layer.Entry{Path: "etc", Type: layer.Dir, Mode: 0o755, UID: 1, GID: 2, ModTime: when},
		layer.Entry{Path: "fifo", Type: layer.Fifo, Mode: 0o600, ModTime: when},
		layer.Entry{Path: "gone", Type: layer.Whiteout},
	)
	d.file("hello", "hello, world")
	d.add(layer.Entry{Path: "hello2", Type: layer.Link, Linkname: "hello", Mode: 0o644, ModTime: when})
	d.file(strings.Repeat("long/", 40)+"name", "deep")
	d.file("sudo", "#!")
	d.entries[len(d.entries)-1].Mode = layer.ModeSetuid | 0o755
	d.entries[len(d.entries)-1].Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02"}
	d.add(layer.Entry{Path: "sym", Type: layer.Symlink, Linkname: "../../etc/passwd", Mode: 0o777, ModTime: when})
	d.add(layer.Entry{Path: "tmp", Type: layer.Dir, Mode: layer.ModeSticky | 0o777, ModTime: when})
	d.add(layer.Entry{Path: "tmp/gone", Type: layer.Whiteout})
	d.file("\xff invalid UTF-8", "x")
	return d
}

func TestEmptyDeltaIsTheWellKnownEmptyTar(t *testing.T) {
	l, _ := write(t, layer.Empty{}, layer.Options{})
	id, err := l.DiffID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	if id != want {
		t.Errorf("diff ID is %s, want %s", id, want)
	}
}

func TestDescriptorDescribesTheBlob(t *testing.T) {
	cases := []struct {
		options layer.Options
		media   string
	}{
		{layer.Options{}, ocispec.MediaTypeImageLayerGzip},
		{layer.Options{Compression: layer.Zstd}, ocispec.MediaTypeImageLayerZstd},
		{layer.Options{Compression: layer.None}, ocispec.MediaTypeImageLayer},
		{layer.Options{Docker: true}, "application/vnd.docker.image.rootfs.diff.tar.gzip"},
	}
	for _, c := range cases {
		t.Run(c.media, func(t *testing.T) {
			l, dir := write(t, everyType(), c.options)
			desc, err := l.Descriptor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if desc.MediaType != c.media {
				t.Errorf("media type is %s, want %s", desc.MediaType, c.media)
			}
			blob, err := os.ReadFile(string(dir) + "/" + desc.Digest.Encoded())
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(blob)) != desc.Size || digest.FromBytes(blob) != desc.Digest {
				t.Errorf("blob has %d bytes and digest %s, its descriptor says %d and %s", len(blob), digest.FromBytes(blob), desc.Size, desc.Digest)
			}
			id, err := l.DiffID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := digest.FromBytes(bytesOf(t, l)); got != id {
				t.Errorf("tar has digest %s, the diff ID is %s", got, id)
			}
		})
	}
}

func TestTarFollowsTheRulesOfLayers(t *testing.T) {
	l, _ := write(t, everyType(), layer.Options{})
	var got []string
	for _, h := range headers(t, l) {
		if h.Uname != "" || h.Gname != "" {
			t.Errorf("%s names its owner: %q %q", h.Name, h.Uname, h.Gname)
		}
		line := fmt.Sprintf("%c %04o %d:%d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			line += fmt.Sprintf(" (%d,%d)", h.Devmajor, h.Devminor)
		}
		for k, v := range h.PAXRecords {
			if k != "path" {
				line += fmt.Sprintf(" %s=%q", k, v)
			}
		}
		got = append(got, line)
	}
	want := []string{
		"5 0755 0:0 dev/",
		"3 0666 0:0 dev/null (1,3)",
		"4 0660 0:6 dev/sda (8,0)",
		"5 0755 1:2 etc/",
		"0 0000 0:0 etc/.wh..wh..opq",
		"6 0600 0:0 fifo",
		"0 0000 0:0 .wh.gone",
		"0 0644 0:0 hello",
		"1 0644 0:0 hello2 -> hello",
		"0 0644 0:0 " + strings.Repeat("long/", 40) + "name",
		`0 4755 0:0 sudo SCHILY.xattr.security.capability="\x01\x00\x00\x02"`,
		"2 0777 0:0 sym -> ../../etc/passwd",
		"5 1777 0:0 tmp/",
		"0 0000 0:0 tmp/.wh.gone",
		"0 0644 0:0 \xff invalid UTF-8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("tar holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPAXOnlyWhereNeeded(t *testing.T) {
	d := &delta{}
	d.file("plain", "x")
	d.file(strings.Repeat("d/", 60)+"fits-the-ustar-prefix", "x")
	d.entries[0].ModTime = when.Add(987654321)
	l, _ := write(t, d, layer.Options{})
	for _, h := range headers(t, l) {
		if len(h.PAXRecords) > 0 {
			t.Errorf("%s has PAX records: %v", h.Name, h.PAXRecords)
		}
		if !h.ModTime.Equal(when) {
			t.Errorf("%s is of %v, want whole seconds, not rounded up: %v", h.Name, h.ModTime, when)
		}
	}
}

func TestLargeNumbers(t *testing.T) {
	d := &delta{contents: map[string]string{}}
	d.add(
		layer.Entry{Path: "dev", Type: layer.Char, Major: 1 << 22, Minor: 1 << 30, ModTime: when},
		layer.Entry{Path: "old", Type: layer.Dir, ModTime: time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC)},
		layer.Entry{Path: "owner", Type: layer.Dir, UID: 1<<32 - 2, GID: 1<<32 - 2, ModTime: when},
	)
	l, _ := write(t, d, layer.Options{})
	got, _ := read(t, layer.ReadTar(bytes.NewReader(bytesOf(t, l))))
	equalEntries(t, got, d.entries)
}

func TestWhatATarCannotHoldIsRefused(t *testing.T) {
	cases := map[string]layer.Entry{
		"a/.wh.b": {Path: "a/.wh.b", Type: layer.Dir},
		"root":    {Path: ".", Type: layer.Whiteout},
		"xattr":   {Path: "a", Type: layer.Dir, Xattrs: map[string]string{"user.a=b": "c"}},
		"no type": {Path: "a"},
	}
	for name, e := range cases {
		t.Run(name, func(t *testing.T) {
			dir := blobDir(t.TempDir())
			d := &delta{entries: []layer.Entry{e}}
			_, err := layer.NewWriter(dir, layer.Options{}).Write(t.Context(), d).Descriptor(t.Context())
			if err == nil || !strings.Contains(err.Error(), e.Path) {
				t.Errorf("error is %v, want one that names %q", err, e.Path)
			}
			if left := dir.names(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	grown := everyType()
	grown.contents["hello"] += "!"
	shrunk := everyType()
	shrunk.contents["hello"] = "hell"
	missing := everyType()
	delete(missing.contents, "sudo")
	other := everyType()
	other.entries[7].Content = [32]byte{1}
	for name, d := range map[string]*delta{"grown": grown, "shrunk": shrunk, "missing": missing, "other content": other} {
		t.Run(name, func(t *testing.T) {
			dir := blobDir(t.TempDir())
			l := layer.NewWriter(dir, layer.Options{}).Write(t.Context(), d)
			if _, err := l.Descriptor(t.Context()); err == nil {
				t.Error("writing succeeded")
			}
			if left := dir.names(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if !slices.Equal(d.released, []digest.Digest{""}) {
				t.Errorf("released as %q, want once, as failed", d.released)
			}
		})
	}
}

func TestSuccessReleasesOnceWithTheDiffID(t *testing.T) {
	d := everyType()
	l, _ := write(t, d, layer.Options{})
	id, err := l.DiffID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.released, []digest.Digest{id}) {
		t.Errorf("released as %q, want once, as %s", d.released, id)
	}
}

// endless is a delta with one file that does not end while ctx lasts.
type endless struct {
	delta
	reading chan struct{}
}

func (d *endless) Open(context.Context, int) (io.ReadCloser, error) { return d, nil }

func (d *endless) Read(p []byte) (int, error) {
	select {
	case d.reading <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (d *endless) Close() error { return nil }

func TestCancelLeavesNothing(t *testing.T) {
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		t.Run(c.String(), func(t *testing.T) {
			d := &endless{reading: make(chan struct{}, 1)}
			d.add(layer.Entry{Path: "endless", Type: layer.Regular, Size: 1 << 50})
			dir := blobDir(t.TempDir())
			ctx, cancel := context.WithCancelCause(t.Context())
			l := layer.NewWriter(dir, layer.Options{Compression: c}).Write(ctx, d)
			<-d.reading
			cause := errors.New("the user has had enough")
			cancel(cause)
			if _, err := l.Descriptor(t.Context()); !errors.Is(err, cause) {
				t.Errorf("error is %v, want %v", err, cause)
			}
			if left := dir.names(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCancelWhileWaitingForATurn(t *testing.T) {
	first := &endless{reading: make(chan struct{}, 1)}
	first.add(layer.Entry{Path: "endless", Type: layer.Regular, Size: 1 << 50})
	w := layer.NewWriter(blobDir(t.TempDir()), layer.Options{Parallel: 1})
	ctx, cancel := context.WithCancel(t.Context())
	w.Write(ctx, first)
	<-first.reading
	second := everyType()
	l := w.Write(ctx, second)
	cancel()
	if _, err := l.Descriptor(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	if !slices.Equal(second.released, []digest.Digest{""}) {
		t.Errorf("released as %q, want once, as failed", second.released)
	}
}

// fullDisk fails like a disk that is full after some bytes.
type fullDisk struct{ left int }

func (d *fullDisk) Create(context.Context) (layer.BlobFile, error) { return d, nil }
func (d *fullDisk) Commit(digest.Digest) (layer.Source, error)     { return nil, errNoSpace }
func (d *fullDisk) Close() error                                   { return nil }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errNoSpace
	}
	return len(p), nil
}

var errNoSpace = errors.New("no space left on device")

func TestFullDisk(t *testing.T) {
	d := &delta{}
	d.file("random", string(noise(3<<20)))
	before := runtime.NumGoroutine()
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		for _, space := range []int{0, 100, 1 << 20, 1 << 30} {
			l := layer.NewWriter(&fullDisk{left: space}, layer.Options{Compression: c}).Write(t.Context(), d)
			if _, err := l.Descriptor(t.Context()); !errors.Is(err, errNoSpace) {
				t.Errorf("%s, %d bytes of space: error is %v, want %v", c, space, err, errNoSpace)
			}
		}
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// noise returns n bytes, the same every time, that do not compress.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{7})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// mixed is a delta of several megabytes, half of which compresses.
func mixed() *delta {
	d := &delta{}
	random := noise(4 << 20)
	for i := range 8 {
		half := string(random[i<<19 : (i+1)<<19])
		d.file(fmt.Sprintf("file%d", i), half+strings.Repeat("all work and no play ", 30000))
	}
	return d
}

// The digests below change if a compressor changes its output. That is no
// mistake, but it makes every cached layer a new one: do it knowingly.
func TestDigestsDoNotDependOnTheMachine(t *testing.T) {
	want := map[layer.Compression]digest.Digest{
		layer.Gzip: "sha256:c8d5fa25712e62c91855616b664334c5d09cdebd21c39a2205cfea9617c8870d",
		layer.Zstd: "sha256:4eb8e5986bc0886d7e30ff9d6421d09af37dad267b6e193776444e82e1959065",
	}
	for c, want := range want {
		for _, procs := range []int{1, 2, 3, 8} {
			t.Run(fmt.Sprintf("%s/%d", c, procs), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				d := mixed()
				d.halting = procs == 3
				l, _ := write(t, d, layer.Options{Compression: c})
				desc, err := l.Descriptor(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if desc.Digest != want {
					t.Errorf("digest is %s, want %s", desc.Digest, want)
				}
			})
		}
	}
}

func TestGzipIsReadByTheStandardLibrary(t *testing.T) {
	l, dir := write(t, mixed(), layer.Options{})
	desc, err := l.Descriptor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(string(dir) + "/" + desc.Digest.Encoded())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("gzip header has time %v and name %q", z.ModTime, z.Name)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain, bytesOf(t, l)) {
		t.Error("the standard library reads something else")
	}
}

func TestIndexOfAWrittenLayer(t *testing.T) {
	indexes := memoryIndexes{}
	d := everyType()
	l, _ := write(t, d, layer.Options{Indexes: indexes})
	got, err := l.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(d.entries)
	for i, e := range want {
		if e.Type == layer.Regular {
			want[i].Content = [32]byte(sum(d.contents[e.Path]))
		}
	}
	equalEntries(t, got, want)
	id, err := l.DiffID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	saved, err := indexes.LoadIndex(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	equalEntries(t, saved, want)
	for _, e := range d.entries {
		if e.Content != [32]byte{} {
			t.Errorf("the delta's own entry %s was modified", e.Path)
		}
	}
}

func TestIndexIsThereBeforeTheLayerIsWritten(t *testing.T) {
	d := &endless{reading: make(chan struct{}, 1)}
	d.add(layer.Entry{Path: "endless", Type: layer.Regular, Size: 1 << 50})
	ctx, cancel := context.WithCancel(t.Context())
	l := layer.NewWriter(blobDir(t.TempDir()), layer.Options{}).Write(ctx, d)
	<-d.reading
	index, err := l.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equalEntries(t, index, d.entries)
	cancel()
	if _, err := l.Descriptor(t.Context()); err == nil {
		t.Error("writing succeeded")
	}
}
