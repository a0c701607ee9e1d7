package dockerfile_test

import (
	"bytes"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

// FuzzResolve resolves any text. It ends in an error that has a place, or in a
// plan that holds what plans promise.
func FuzzResolve(f *testing.F) {
	names, err := filepath.Glob("testdata/buildkit/*.txtar")
	if err != nil || len(names) == 0 {
		f.Fatalf("found %d archives, %v", len(names), err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".dockerfile") {
				f.Add(string(file.Data), "FROM_BASE=$A", "RUN x")
			}
		}
	}
	f.Fuzz(func(t *testing.T, text, variable, trigger string) {
		base := withEnv(variable)
		base.Config.OnBuild = []string{trigger}
		opts := dockerfile.Options{
			Images:    bases{"base": base},
			BuildArgs: map[string]string{"A": variable},
			Contexts:  map[string]string{"tree": "./tree"},
			Ignore:    []string{"*.md"},
		}
		file, err := dockerfile.Parse("Dockerfile", []byte(text))
		var p *plan.Plan
		var warnings []dockerfile.Warning
		if err == nil {
			p, warnings, err = dockerfile.Resolve(t.Context(), file, opts)
		}
		lines := strings.Count(text, "\n") + 1
		for _, w := range warnings {
			checkPlace(t, w.At, lines)
		}
		if err != nil {
			var e *dockerfile.Error
			if !errors.As(err, &e) || e.Problem == "" {
				t.Fatalf("error has no place or no text: %v", err)
			}
			if e.At.Start > 0 {
				checkPlace(t, e.At, lines)
			}
			return
		}
		checkPlan(t, p, lines)
	})
}

func checkPlace(t *testing.T, at plan.Location, lines int) {
	t.Helper()
	if at.File != "Dockerfile" || at.Start < 1 || at.End < at.Start || at.End > lines {
		t.Fatalf("place %+v is not in a file of %d lines", at, lines)
	}
}

// checkPlan checks what the documentation of package plan promises.
func checkPlan(t *testing.T, p *plan.Plan, lines int) {
	t.Helper()
	ready := make(map[*plan.Stage]bool)
	need := func(s *plan.Stage) {
		if s != nil && !ready[s] {
			t.Fatalf("stage %s is used before it is there", s.Title())
		}
	}
	for _, s := range p.Stages {
		checkPlace(t, s.At, lines)
		need(s.Base.Stage)
		if s.Base.Config == nil || s.Platform.OS == "" {
			t.Fatalf("stage %s has no config or platform", s.Title())
		}
		for _, step := range s.Steps {
			checkPlace(t, step.At, lines)
			if step.Config == nil || step.Config.History != nil || step.Text == "" {
				t.Fatalf("step %+v is not complete", step)
			}
			checkOp(t, step.Op, need)
		}
		ready[s] = true
	}
	if !ready[p.Target] {
		t.Fatal("the target is not in the plan")
	}
	if err := plan.Keys(t.Context(), p, pathInputs{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Print(new(bytes.Buffer), nil); err != nil {
		t.Fatal(err)
	}
}

func checkOp(t *testing.T, op plan.Op, need func(*plan.Stage)) {
	t.Helper()
	switch op := op.(type) {
	case *plan.Run:
		if len(op.Args) == 0 || !path.IsAbs(op.Dir) {
			t.Fatalf("RUN %q in %q", op.Args, op.Dir)
		}
		for _, m := range op.Mounts {
			need(m.From.Stage)
			if m.Target != "" && (!path.IsAbs(m.Target) || m.Target == "/") || m.Target == "" && m.Env == "" || path.IsAbs(m.Source) {
				t.Fatalf("mount %+v", m)
			}
		}
	case *plan.Copy:
		need(op.From.Stage)
		if !path.IsAbs(op.Dest) || len(op.Sources) == 0 {
			t.Fatalf("copy %+v", op)
		}
	case *plan.Workdir:
		if path.Clean(op.Path) != op.Path || !path.IsAbs(op.Path) || op.Path == "/" {
			t.Fatalf("working directory %q", op.Path)
		}
	}
}
