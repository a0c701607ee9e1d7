package dockerfile_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files of TestPlans")

// TestPlans compares printed plans, keys included, with those of
// testdata/plans. A changed key in there means that every cache starts anew.
func TestPlans(t *testing.T) {
	names, err := filepath.Glob("testdata/plans/*.dockerfile")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d Dockerfiles, %v", len(names), err)
	}
	for _, name := range names {
		short := strings.TrimSuffix(name, ".dockerfile")
		t.Run(filepath.Base(short), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := printed(t, text)
			golden := short + ".plan.golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("- %s, + got; -update writes it anew:\n%s", golden, diff)
			}
		})
	}
}

// printed returns the plan of a Dockerfile as it is printed.
func printed(t *testing.T, text []byte) []byte {
	t.Helper()
	opts := optionsOf(t, text)
	opts.Images = bases{}
	opts.Contexts = map[string]string{"files": "./files", "other": "docker-image://registry.example.com/other:1"}
	p := resolve(t, string(text), opts)
	if err := plan.Keys(t.Context(), p, pathInputs{}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Print(&out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// resolve parses and resolves a Dockerfile that has nothing wrong.
func resolve(t *testing.T, text string, opts dockerfile.Options) *plan.Plan {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := dockerfile.Resolve(t.Context(), f, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pathInputs identifies files by their names alone.
type pathInputs struct{}

func (pathInputs) CopyDigest(_ context.Context, c *plan.Copy) (digest.Digest, error) {
	return digest.FromString(fmt.Sprint(c.From.Context, c.Sources)), nil
}

func (pathInputs) MountDigest(_ context.Context, m *plan.Mount) (digest.Digest, error) {
	return digest.FromString(m.From.Context + m.Source), nil
}
