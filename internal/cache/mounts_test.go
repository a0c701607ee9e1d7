package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/cache"
)

func nothing(string) error { return nil }

// acquire takes the cache "gomod" and fails the test if it cannot be had.
func acquire(t *testing.T, m *cache.Mounts, sharing string) (string, func() error) {
	t.Helper()
	dir, release, err := m.Acquire(t.Context(), "gomod", sharing, nothing)
	if err != nil {
		t.Fatalf("acquire %s cache: %v", sharing, err)
	}
	return dir, release
}

func TestMountKeepsItsContent(t *testing.T) {
	m := cache.NewMounts(t.TempDir())
	dir, release := acquire(t, m, "shared")
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, release := acquire(t, m, "locked")
	defer release()
	if got, err := os.ReadFile(filepath.Join(again, "f")); string(got) != "kept" {
		t.Errorf("content after release = %q, %v; want kept", got, err)
	}
}

func TestSharedMountIsTheSameDirectoryForAll(t *testing.T) {
	m := cache.NewMounts(t.TempDir())
	first, release := acquire(t, m, "shared")
	defer release()
	second, release2 := acquire(t, m, "shared")
	defer release2()
	if first != second {
		t.Errorf("shared caches differ: %s and %s", first, second)
	}
}

func TestPrivateMountInUseIsNotGivenAway(t *testing.T) {
	m := cache.NewMounts(t.TempDir())
	first, release := acquire(t, m, "private")
	second, release2 := acquire(t, m, "private")
	if first == second {
		t.Errorf("two holders of a private cache share %s", first)
	}
	if err := errors.Join(release(), release2()); err != nil {
		t.Fatal(err)
	}
	third, release3 := acquire(t, m, "private")
	defer release3()
	if third != first {
		t.Errorf("free private cache %s is not used again, but %s", first, third)
	}
}

func TestLockedMountWaitsAndCanBeCancelled(t *testing.T) {
	m := cache.NewMounts(t.TempDir())
	_, release := acquire(t, m, "locked")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := m.Acquire(ctx, "gomod", "locked", nothing); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("second holder of a locked cache: %v, want to wait until cancelled", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	_, release = acquire(t, m, "locked")
	defer release()
}

func TestFailedFillLeavesNoMount(t *testing.T) {
	m := cache.NewMounts(t.TempDir())
	broken := errors.New("broken")
	_, _, err := m.Acquire(t.Context(), "gomod", "shared", func(dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	})
	if !errors.Is(err, broken) {
		t.Fatalf("acquire with failing fill: %v, want the cause", err)
	}
	dir, release := acquire(t, m, "shared")
	defer release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("cache after a failed fill holds %v, %v; want nothing", entries, err)
	}
}
