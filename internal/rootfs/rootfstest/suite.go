package rootfstest

import (
	"testing"

	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/store"
)

// NewEngine makes the engine under test, which keeps its files in s.
type NewEngine func(t testing.TB, s *store.Store) rootfs.Engine

// Run runs the suite.
func Run(t *testing.T, newEngine NewEngine) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, NewEngine)
	}{
		{"changes", testChanges},
		{"layers", testLayers},
		{"process", testProcess},
		{"environment", testEnvironment},
		{"mounts", testMounts},
		{"end", testEnd},
	} {
		t.Run(part.name, func(t *testing.T) {
			before := takeInventory(t)
			t.Cleanup(func() { before.compare(t) })
			part.run(t, newEngine)
		})
	}
}

// hasIDs reports whether a range of ids exists, not just the user's own.
func hasIDs(t testing.TB) bool {
	t.Helper()
	return isIDMapped(t, 12) && isIDMapped(t, 34)
}
