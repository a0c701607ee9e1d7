package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/overlay"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
	"github.com/kiln-build/kiln/internal/store"
)

func TestMain(m *testing.M) {
	if code, ok := rootfstest.Main(os.Args); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// The suite runs over this engine in package engines; here are the tests of
// what is its own.

func newEngine(t testing.TB, s *store.Store) rootfs.Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, or a user namespace")
	}
	return overlay.New(overlay.Options{Store: s, Isolation: namespaces.New(s), UserXattr: !isHost(t)})
}

// isHost reports whether root is root of the host.
func isHost(t testing.TB) bool {
	t.Helper()
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(uidMap), "4294967295")
}

// counted is a source that counts how often it is read and can be told to fail.
type counted struct {
	layer.Source
	opened atomic.Int32
	fail   atomic.Bool
}

var errNoNetwork = errors.New("no network")

func (c *counted) Open(ctx context.Context) (io.ReadCloser, error) {
	c.opened.Add(1)
	if c.fail.Load() {
		return nil, errNoNetwork
	}
	return c.Source.Open(ctx)
}

// countedLayer returns l with a counted source.
func countedLayer(t *testing.T, l *layer.Layer) (*layer.Layer, *counted) {
	t.Helper()
	desc, err := l.Descriptor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diffID, err := l.DiffID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source, err := l.Blob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Source: source}
	return layer.Remote(desc, diffID, c, nil), c
}

func TestLayerIsUnpackedOnce(t *testing.T) {
	b := rootfstest.NewBench(t, newEngine)
	l, source := countedLayer(t, b.Layer(rootfstest.File("d/f", 0o644, "content")))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			fs, err := b.Engine.Open(t.Context(), []*layer.Layer{l})
			if err != nil {
				t.Error(err)
				return
			}
			if err := fs.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	b.Open(l).Shows("content", `cat /d/f`)
	if n := source.opened.Load(); n != 1 {
		t.Errorf("the layer was read %d times, want once", n)
	}

	// The next build has another engine over the same store.
	later := *b
	later.Engine = newEngine(t, b.Store)
	later.Open(l).Shows("content", `cat /d/f`)
	if n := source.opened.Load(); n != 1 {
		t.Errorf("the next build read the layer again")
	}
}

func TestWrittenLayerIsKept(t *testing.T) {
	b := rootfstest.NewBench(t, newEngine)
	base := b.Layer(rootfstest.Dir("d", 0o700), rootfstest.Dir("d/e", 0o700), rootfstest.File("d/e/f", 0o644, "old"), rootfstest.File("d/g", 0o644, "same"))
	r := b.Open(base)
	r.Do(`echo new >/d/e/f; chmod 644 /d/g`)
	written := r.Changes(`file 644 d/e/f "new\n"`)
	l, source := countedLayer(t, written)

	later := *b
	later.Engine = newEngine(t, b.Store)
	later.Open(base, l).Shows("new\nsame700", `cat /d/e/f /d/g; stat -c %a /d`)
	// Over another base only what the layer says is seen, not what the
	// directory happens to hold.
	other := b.Layer(rootfstest.Dir("d", 0o711), rootfstest.File("d/g", 0o644, "other"))
	later.Open(other, l).Shows("new\nother711", `cat /d/e/f /d/g; stat -c %a /d`)
	if n := source.opened.Load(); n != 0 {
		t.Errorf("the layer was read %d times although it was kept", n)
	}
}

func TestFailedLayerCanBeTriedAgain(t *testing.T) {
	b := rootfstest.NewBench(t, newEngine)
	l, source := countedLayer(t, b.Layer(rootfstest.File("f", 0o644, "content")))
	source.fail.Store(true)
	if _, err := b.Engine.Open(t.Context(), []*layer.Layer{l}); !errors.Is(err, errNoNetwork) {
		t.Errorf("the error is %v, want %v", err, errNoNetwork)
	}
	source.fail.Store(false)
	b.Open(l).Shows("content", `cat /f`)
}

// TestMoreLayersThanTheKernelTakes opens a root filesystem of layers that hide
// and replace each other.
func TestMoreLayersThanTheKernelTakes(t *testing.T) {
	b := rootfstest.NewBench(t, newEngine)
	const n = 620
	layers := []*layer.Layer{
		b.Layer(rootfstest.Dir("d", 0o750), rootfstest.Dir("secret", 0o700), rootfstest.File("secret/f", 0o644, ""),
			rootfstest.Dir("again", 0o755), rootfstest.File("again/old", 0o644, ""), rootfstest.File("kind", 0o644, "")),
		b.Layer(rootfstest.File("secret/g", 0o644, ""), rootfstest.Opaque("again"), rootfstest.Dir("again", 0o711), rootfstest.File("again/new", 0o644, ""),
			rootfstest.Dir("kind", 0o755), rootfstest.File("kind/f", 0o644, "")),
	}
	for i := len(layers); i < n; i++ {
		files := rootfstest.Tree{rootfstest.File(fmt.Sprintf("d/%d", i), 0o644, fmt.Sprint(i)), rootfstest.File("d/last", 0o644, fmt.Sprint(i))}
		if i > 10 {
			files = append(files, rootfstest.Gone(fmt.Sprintf("d/%d", i-5)))
		}
		layers = append(layers, b.Layer(files...))
	}
	r := b.Open(layers...)
	r.Shows("10 619 750", `echo $(ls /d | wc -l) $(cat /d/last) $(stat -c %a /d)`)
	r.Shows("700 f g 711 new f", `echo $(stat -c %a /secret) $(ls /secret) $(stat -c %a /again) $(ls /again) $(ls /kind)`)
	r.Changes()
	r.Do(`rm /d/619; echo x >/secret/f`)
	r.Changes(`dir 750 d`, `gone d/619`, `file 644 secret/f "x\n"`)
	r.Shows("9", `ls /d | wc -l`)
}
