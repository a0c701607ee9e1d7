package dockerfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/plan"
)

// scratch is the base that has no layers.
const scratch = "scratch"

// stage is a stage on its way into the plan.
type stage struct {
	index    int
	name     string
	at       []parser.Range
	baseName string // expanded
	// base is the earlier stage that this one starts from, nil for an image.
	base *stage
	// override is the named context that takes the stage's place, "" for none.
	override string
	// platform is that of FROM --platform, nil for none.
	platform *ocispec.Platform
	commands []*instruction
	// triggered is set when the ONBUILDs of the base are among commands.
	triggered bool

	image *plan.Image // what an image base was resolved to
	plan  *plan.Stage
	state state // after what was walked so far
}

// title is what messages call the stage.
func (s *stage) title() string {
	if s.name != "" {
		return s.name
	}
	return strconv.Itoa(s.index)
}

// declareStages expands every FROM and finds out what it starts from. A name
// stands for the last stage above that has it.
func (r *resolver) declareStages(declarations []instructions.Stage) error {
	for i, d := range declarations {
		lint := r.lint.WithMergedConfigFromComments(d.Comments)
		s := &stage{index: i, name: d.Name, at: d.Location}
		for _, cmd := range d.Commands {
			s.commands = append(s.commands, &instruction{Command: cmd})
		}
		if err := r.expandBase(s, d, lint); err != nil {
			return err
		}
		if err := r.expandPlatform(s, d, lint); err != nil {
			return err
		}
		if d.Name != "" {
			s.override = r.contextFor(d.Name)
		}
		if s.override == "" {
			s.base = r.stage(s.baseName, i)
		} else {
			s.commands = nil // what they would do is in the context
		}
		r.stages = append(r.stages, s)
		if s.name != "" {
			r.byName[s.name] = s
		}
	}
	return nil
}

// expandBase finds out the name of what a stage starts from.
func (r *resolver) expandBase(s *stage, d instructions.Stage, lint *linter.Linter) error {
	match, err := r.lex.ProcessWordWithMatches(d.BaseName, r.globals)
	r.lintFromArgs(match.Unmatched, d.Location, lint)
	if err != nil {
		return r.file.wrap(d.Location, err)
	}
	if match.Result == "" {
		e := r.file.fail(d.Location, "FROM %s: there is no name left after expansion", d.BaseName)
		return e.hint("%s", r.adviseArgs(match.Matched, match.Unmatched))
	}
	s.baseName = match.Result
	return nil
}

// expandPlatform finds out the platform of FROM --platform.
func (r *resolver) expandPlatform(s *stage, d instructions.Stage, lint *linter.Linter) error {
	if d.Platform == "" {
		return nil
	}
	match, err := r.lex.ProcessWordWithMatches(d.Platform, r.globals)
	r.lintFromArgs(match.Unmatched, d.Location, lint)
	r.lintTargetPlatform(d, match, lint)
	lintConstPlatform(d, match, lint)
	if err != nil {
		return r.file.wrap(d.Location, err)
	}
	if match.Result == "" {
		e := r.file.fail(d.Location, "FROM --platform=%s: there is no platform left after expansion", d.Platform)
		return e.hint("%s", r.adviseArgs(match.Matched, match.Unmatched))
	}
	p, err := platforms.Parse(match.Result)
	if err != nil {
		return r.file.fail(d.Location, "FROM --platform=%s", match.Result).because(err).
			hint("a platform is os/architecture[/variant], such as linux/amd64 or linux/arm64")
	}
	s.platform = &p
	return nil
}

// adviseArgs says what to do about a FROM whose ARGs have left nothing.
func (r *resolver) adviseArgs(matched, unmatched map[string]struct{}) string {
	if len(unmatched) == 0 {
		if len(matched) == 0 {
			return ""
		}
		name := sortedKeys(matched)[0]
		return "ARG " + name + " is empty: give it a value there, or with --build-arg " + name + "=value"
	}
	name := sortedKeys(unmatched)[0]
	if slices.Contains(r.declared, name) {
		return "ARG " + name + " has no value: give it one there, or with --build-arg " + name + "=value"
	}
	if line := r.argLines[name]; line > 0 {
		return fmt.Sprintf("ARG %s in line %d belongs to a stage; FROM sees only the ARGs above the first FROM", name, line)
	}
	if match := nearest(name, slices.Concat(r.globals.Keys(), r.declared)); match != "" {
		return "did you mean $" + match + "?"
	}
	return "declare it above the first FROM: ARG " + name + "=value"
}

// stage returns the stage that name stands for among the first limit of the
// file, by name in any case or by number; nil if there is none.
func (r *resolver) stage(name string, limit int) *stage {
	if s := r.byName[strings.ToLower(name)]; s != nil {
		return s
	}
	// Names do not start with digits, so a number cannot be meant as a name.
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < min(limit, len(r.stages)) {
		return r.stages[n]
	}
	return nil
}

// stageNames lists the stages that have names.
func (r *resolver) stageNames() []string {
	var names []string
	for _, s := range r.stages {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	return names
}
