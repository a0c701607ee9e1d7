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

// named makes the engine of that name as a build does.
func named(name string) rootfstest.NewEngine {
	return func(t testing.TB, s *store.Store) rootfs.Engine {
		t.Helper()
		engine, _, err := engines.Select(t.Context(), engines.Options{Name: name, Store: s})
		if err != nil {
			t.Skip(err)
		}
		return engine
	}
}

// TestAll runs the suite over every engine but inplace, which has a harness of
// its own: here it would take the machine apart.
func TestAll(t *testing.T) {
	for _, name := range []string{"overlay", "chroot"} {
		t.Run(name, func(t *testing.T) { rootfstest.Run(t, named(name)) })
	}
}

func TestAllRootless(t *testing.T) { rootfstest.AsUser(t, "^(TestAll|TestSelectTells.*)$") }

func TestAllInContainer(t *testing.T) {
	rootfstest.InContainer(t, named("chroot"), rootfstest.Volume, "^(TestAll|TestSelectTells.*)$/^.*$/^(layers|process|environment|mounts|end)$")
}

// TestSelectFallsBack holds that where overlayfs cannot work, in a container
// without a volume, the next engine is chosen.
func TestSelectFallsBack(t *testing.T) {
	out := rootfstest.InContainer(t, named("overlay"), "/tmp", "^TestSelectTells")
	for _, want := range []string{"overlay: does not work", "chroot: works"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

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
	if err == nil || !strings.Contains(err.Error(), "overlay, chroot, inplace") {
		t.Errorf("an unknown engine gives %v", err)
	}
}

// TestInPlaceIsNotForMachines holds that the engine which takes kiln's own root
// filesystem apart has to be told that it is a container's.
func TestInPlaceIsNotForMachines(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _, err = engines.Select(t.Context(), engines.Options{Store: s, Name: "inplace"})
	const want = "kaniko should only be run inside of a container, run with the --force flag if you are sure you want to continue"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want %q", err, want)
	}
}
