package tree_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// debian makes a layer of the size and shape of a Debian with a compiler:
// 30,000 files in 3,000 directories.
func debian() *layer.Layer {
	var index layer.Index
	for _, top := range []string{"etc", "usr", "usr/bin", "usr/lib", "usr/share", "var", "var/lib"} {
		index = append(index, layer.Entry{Path: top, Type: layer.Dir, Mode: 0o755})
	}
	for d := range 3000 {
		dir := fmt.Sprintf("usr/share/package-%d/doc", d)
		index = append(index, layer.Entry{Path: layer.Parent(dir), Type: layer.Dir}, layer.Entry{Path: dir, Type: layer.Dir})
		for f := range 10 {
			index = append(index, layer.Entry{Path: fmt.Sprintf("%s/file-%d.txt", dir, f), Type: layer.Regular, Size: 100})
		}
	}
	slices.SortFunc(index, func(a, b layer.Entry) int { return layer.Compare(a.Path, b.Path) })
	return layer.Remote(ocispec.Descriptor{}, digest.FromString("debian"), nil, known(index))
}

// image makes a Debian with n small layers on top.
func image(n int) []*layer.Layer {
	layers := []*layer.Layer{debian()}
	for i := range n {
		layers = append(layers, layerOf("d app", fmt.Sprintf("d app/%d", i), fmt.Sprintf("f app/%d/main", i), "f app/latest"))
	}
	return layers
}

func BenchmarkLoadAndResolve(b *testing.B) {
	layers := image(10)
	for b.Loop() {
		shown, err := tree.Load(context.Background(), layers, contents{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tree.Resolve(shown, "/usr/share/package-7/doc/../../package-8/doc/file-1.txt"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLstatInManyLayers(b *testing.B) {
	shown, err := tree.Load(context.Background(), image(150), contents{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for i := range 100 {
			if _, err := shown.Lstat(fmt.Sprintf("app/%d/main", i)); err != nil {
				b.Fatal(err)
			}
			if _, err := shown.Lstat(fmt.Sprintf("usr/share/package-%d/none", i)); err == nil {
				b.Fatal("found what is not there")
			}
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for b.Loop() {
		shown, err := tree.Load(context.Background(), image(10), contents{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := tree.Walk(shown, ".", func(layer.Entry) error { n++; return nil }); err != nil || n < 36_000 {
			b.Fatal(n, err)
		}
	}
}
