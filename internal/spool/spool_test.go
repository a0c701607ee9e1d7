package spool_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/spool"
)

func TestSectionsHoldWhatWasAdded(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	zeros := strings.Repeat("\x00", 300_000)
	contents := []string{"first", "", strings.Repeat("third ", 100_000), "a" + zeros, zeros + "b", zeros}
	var sections []spool.Section
	for _, content := range contents {
		section, err := s.Add(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections, section)
	}
	for i := range contents {
		got, err := io.ReadAll(s.Open(sections[i]))
		if err != nil || string(got) != contents[i] {
			t.Errorf("section %d: %d bytes, error %v; want %d bytes", i, len(got), err, len(contents[i]))
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, error %v", left, err)
	}
}

func TestFailedAddIsNotKept(t *testing.T) {
	s, err := spool.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	broken := io.MultiReader(strings.NewReader(strings.Repeat("half", 100_000)), io.LimitReader(failing{}, 1))
	if _, err := s.Add(t.Context(), broken); err == nil {
		t.Fatal("adding from a reader that fails succeeded")
	}
	for _, want := range []string{"whole", strings.Repeat("\x00", 200_000)} {
		section, err := s.Add(t.Context(), strings.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s.Open(section)); err != nil || string(got) != want {
			t.Errorf("after a failure the section holds %.20q…, error %v", got, err)
		}
	}
}

func TestZerosTakeNoSpace(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after unix.Statfs_t
	if err := unix.Statfs(dir, &before); err != nil {
		t.Fatal(err)
	}
	const size = 4 << 30
	section, err := s.Add(t.Context(), io.LimitReader(zeros{}, size))
	if err != nil || section.Size != size {
		t.Fatalf("section is %+v, error %v", section, err)
	}
	if err := unix.Statfs(dir, &after); err != nil {
		t.Fatal(err)
	}
	// Others write to the disk, too, but hardly that much.
	if used := (int64(before.Bfree) - int64(after.Bfree)) * after.Bsize; used > size/2 {
		t.Errorf("%d bytes of zeros take %d on disk", size, used)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAddStopsWithItsContext(t *testing.T) {
	s, err := spool.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := s.Add(ctx, strings.NewReader("x")); !errors.Is(err, why) {
		t.Errorf("adding with a cancelled context: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
