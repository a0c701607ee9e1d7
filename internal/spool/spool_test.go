package spool_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/spool"
)

func TestSectionsHoldWhatWasAdded(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	contents := []string{"first", "", strings.Repeat("third ", 100_000)}
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
	broken := io.MultiReader(strings.NewReader("half"), io.LimitReader(failing{}, 1))
	if _, err := s.Add(t.Context(), broken); err == nil {
		t.Fatal("adding from a reader that fails succeeded")
	}
	section, err := s.Add(t.Context(), strings.NewReader("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(s.Open(section)); string(got) != "whole" {
		t.Errorf("after a failure the section holds %q", got)
	}
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
