package overlay_test

import (
	"os"
	"testing"

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

func newEngine(t testing.TB, s *store.Store) rootfs.Engine {
	return overlay.New(overlay.Options{Store: s, Isolation: namespaces.New(s)})
}

func TestEngine(t *testing.T) { rootfstest.Run(t, newEngine) }
