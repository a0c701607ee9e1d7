package step_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/buildcontext"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/step"
	"github.com/kiln-build/kiln/internal/tree"
)

// manyFiles makes a directory of n small files, a hundred a directory.
func manyFiles(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("module-%d", i/10_000), fmt.Sprintf("package-%d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file-%d.go", i)), []byte("package main"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// BenchmarkCopy100kFiles is what a COPY . . of 100,000 files costs: its key,
// then its delta. Contents are read once, for the key.
func BenchmarkCopy100kFiles(b *testing.B) {
	dir := manyFiles(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		src, err := buildcontext.Open(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		c := &step.Copier{}
		op := &plan.Copy{Sources: []plan.Source{{Path: "."}}, Dest: "/app/"}
		if _, err := c.Digest(context.Background(), op, src); err != nil {
			b.Fatal(err)
		}
		delta, err := c.Copy(context.Background(), op, src, tree.Empty())
		if err != nil || len(delta.Entries()) < 100_000 {
			b.Fatal(len(delta.Entries()), err)
		}
		if err := src.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSelect100kFiles is the same for a tree that has been read and hashed
// before: what every further COPY of it costs.
func BenchmarkSelect100kFiles(b *testing.B) {
	src, err := buildcontext.Open(manyFiles(b, 100_000), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	c := &step.Copier{}
	b.ReportAllocs()
	for b.Loop() {
		op := &plan.Copy{Sources: []plan.Source{{Path: "."}}, Dest: "/app/"}
		if _, err := c.Digest(context.Background(), op, src); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Copy(context.Background(), op, src, tree.Empty()); err != nil {
			b.Fatal(err)
		}
	}
}
