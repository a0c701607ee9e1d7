package engines_test

import (
	"fmt"
	"testing"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs/engines"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
)

// BenchmarkRun measures a RUN that does nothing.
func BenchmarkRun(b *testing.B) {
	for _, name := range engines.Names() {
		b.Run(name, func(b *testing.B) {
			r := rootfstest.NewBench(b, named(name)).Open()
			for b.Loop() {
				if err := r.FS.Run(b.Context(), proc.Spec{Args: []string{"/bin/true"}, Dir: "/"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRunDiff measures a RUN that writes one file, on a root filesystem
// of 20,000, and finding that out.
func BenchmarkRunDiff(b *testing.B) {
	var files rootfstest.Tree
	for i := range 20_000 {
		files = append(files, rootfstest.File(fmt.Sprintf("usr/%d/file%d", i/100, i), 0o644, "x"))
	}
	for _, name := range engines.Names() {
		b.Run(name, func(b *testing.B) {
			bench := rootfstest.NewBench(b, named(name))
			r := bench.Open(bench.Layer(files...))
			for b.Loop() {
				r.Do(`echo >/f`)
				d, err := r.FS.Diff(b.Context())
				if err != nil || len(d.Entries()) != 1 {
					b.Fatal(d, err)
				}
				if err := d.Release(""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDiffLarge measures finding what a RUN of 10,000 new files changed.
func BenchmarkDiffLarge(b *testing.B) {
	for _, name := range engines.Names() {
		b.Run(name, func(b *testing.B) {
			r := rootfstest.NewBench(b, named(name)).Open()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				r.Do(fmt.Sprintf(`mkdir /%d; cd /%d; for i in $(seq 100); do mkdir $i; (cd $i; seq 100 | xargs touch); done`, i, i))
				b.StartTimer()
				d, err := r.FS.Diff(b.Context())
				if err != nil || len(d.Entries()) != 10_101 {
					b.Fatal(err)
				}
				if err := d.Release(""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
