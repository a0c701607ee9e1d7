package engines_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/engines"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
	"github.com/kiln-build/kiln/internal/store"
)

func TestMain(m *testing.M) {
	if code, ok := rootfstest.Main(os.Args); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestAll runs the suite over every engine as it is made in a build.
func TestAll(t *testing.T) {
	for _, name := range engines.Names() {
		t.Run(name, func(t *testing.T) {
			rootfstest.Run(t, func(t testing.TB, s *store.Store) rootfs.Engine {
				engine, _, err := engines.Select(t.Context(), engines.Options{Name: name, Store: s})
				if err != nil {
					t.Skip(err)
				}
				return engine
			})
		})
	}
}

func TestAllRootless(t *testing.T) { rootfstest.AsUser(t, "^(TestAll|TestSelect.*)$") }

func TestSelectTellsWhatItTried(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	engine, report, err := engines.Select(t.Context(), engines.Options{Store: s})
	if err != nil {
		t.Skip(err)
	}
	last := report.Probes[len(report.Probes)-1]
	if report.Chosen != engine.Name() || last.Engine != engine.Name() || last.Err != nil {
		t.Errorf("the engine is %s, the report says\n%s", engine.Name(), report)
	}
	t.Log(report)
	_, _, err = engines.Select(t.Context(), engines.Options{Store: s, Name: "steam"})
	if err == nil || !strings.Contains(err.Error(), "overlay, chroot") {
		t.Errorf("an unknown engine gives %v", err)
	}
}
