package dir_test

import (
	"os"
	"testing"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/dir"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
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
	return dir.New(dir.Options{Store: s, Isolation: namespaces.New(s)})
}

func TestEngine(t *testing.T) { rootfstest.Run(t, newEngine) }
