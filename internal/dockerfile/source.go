package dockerfile

import (
	"slices"
	"strconv"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kiln-build/kiln/internal/plan"
)

// source is what COPY --from or the from of a mount names: a stage, or else an
// image or named context.
type source struct {
	name  string
	at    []parser.Range
	stage *stage

	origin plan.Origin // of what is no stage, once resolved
}

// connectStages finds out what every instruction reads from. Stages that the
// target does not need are included: a reference that cannot be right is
// reported wherever it stands.
func (r *resolver) connectStages() error {
	for _, s := range r.stages {
		for _, cmd := range s.commands {
			if err := r.connect(cmd); err != nil {
				return err
			}
		}
	}
	return r.checkCircles()
}

// connect finds out what one instruction reads from.
func (r *resolver) connect(cmd *instruction) error {
	switch c := cmd.Command.(type) {
	case *instructions.CopyCommand:
		if c.From == "" {
			return nil
		}
		from, err := r.copySource(c)
		if err != nil {
			return err
		}
		cmd.from = []*source{from}
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(c) {
			var from *source
			if m.From != "" {
				from = &source{name: m.From, at: c.Location(), stage: r.stage(m.From, len(r.stages))}
			}
			cmd.from = append(cmd.from, from)
		}
	}
	return nil
}

// copySource finds out what COPY --from names. Variables are not expanded
// there, as the stages have to be known before any of them is looked at.
func (r *resolver) copySource(c *instructions.CopyCommand) (*source, error) {
	expanded, err := r.lex.ProcessWordWithMatches(c.From, shell.EnvsFromSlice(nil))
	if err != nil {
		return nil, r.file.wrap(c.Location(), err)
	}
	if expanded.Result != c.From {
		return nil, r.file.fail(c.Location(), "COPY --from=%s: variables are not expanded there", c.From).
			hint("give it a name with a stage of its own, which FROM expands: FROM %s AS name", c.From)
	}
	from := &source{name: c.From, at: c.Location(), stage: r.stage(c.From, len(r.stages))}
	if _, err := strconv.Atoi(c.From); err == nil && from.stage == nil {
		return nil, r.file.fail(c.Location(), "COPY --from=%s: there is no stage with that number", c.From).
			hint("the last stage has the number %d", len(r.stages)-1)
	}
	return from, nil
}

// need is a stage that another, by, starts from or reads, and where.
type need struct {
	*stage
	by *stage
	at []parser.Range
}

// needs lists the stages that s starts from and reads.
func (s *stage) needs() []need {
	needs := s.reads()
	if s.base != nil {
		needs = append(needs, need{s.base, s, s.at})
	}
	return needs
}

// reads lists the stages that s copies from and mounts, in order.
func (s *stage) reads() []need {
	var needs []need
	for _, cmd := range s.commands {
		for _, from := range cmd.from {
			if from != nil && from.stage != nil {
				needs = append(needs, need{from.stage, s, from.at})
			}
		}
	}
	return needs
}

// reach adds s and all that it needs to found.
func (s *stage) reach(found map[*stage]bool) {
	if found[s] {
		return
	}
	found[s] = true
	for _, other := range s.needs() {
		other.reach(found)
	}
}

// checkCircles finds stages that read each other. As in BuildKit, FROM has no
// part in this: it leads to stages above only, and a stage that is needed and
// reads one below is reported for that.
func (r *resolver) checkCircles() error {
	done := make(map[*stage]bool)
	var visit func(s *stage, path []need) error
	visit = func(s *stage, path []need) error {
		if i := slices.IndexFunc(path, func(n need) bool { return n.by == s }); i >= 0 {
			return r.circle(path[i:])
		}
		if done[s] {
			return nil
		}
		for _, n := range s.reads() {
			if err := visit(n.stage, append(path, n)); err != nil {
				return err
			}
		}
		done[s] = true
		return nil
	}
	for _, s := range r.stages {
		if err := visit(s, nil); err != nil {
			return err
		}
	}
	return nil
}

// circle makes the error for stages that read each other. What is wrong is where
// one of them reads a later one, or itself.
func (r *resolver) circle(path []need) error {
	i := slices.IndexFunc(path, func(n need) bool { return n.index >= n.by.index })
	wrong := path[i]
	problem := "stage %[1]s reads stage %[2]s, which reads stage %[1]s"
	if wrong.stage == wrong.by {
		problem = "stage %[1]s reads itself"
	}
	return r.file.fail(wrong.at, problem, wrong.by.title(), wrong.title()).
		hint("a stage can start from, copy from and mount only stages above it")
}

// origin returns what the plan knows a source as.
func (r *resolver) origin(from *source, s *stage) (plan.Origin, error) {
	if from.stage == nil {
		return from.origin, nil
	}
	if !r.done[from.stage] {
		return plan.Origin{}, r.file.fail(from.at, "stage %s is used before it is defined", from.stage.title()).
			hint("move stage %s above stage %s", from.stage.title(), s.title())
	}
	return plan.Origin{Stage: from.stage.plan}, nil
}
