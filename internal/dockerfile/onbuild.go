package dockerfile

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// addTriggers puts the ONBUILD triggers of the base before the instructions of
// s. It reports whether they read from stages or images.
func (r *resolver) addTriggers(s *stage) (added bool, err error) {
	s.triggered = true
	var commands []*instruction
	for _, text := range s.triggers() {
		cmd, err := r.trigger(s, text)
		if err != nil {
			return false, err
		}
		added = added || len(cmd.from) > 0
		commands = append(commands, cmd)
	}
	s.commands = slices.Concat(commands, s.commands)
	return added, nil
}

// triggers returns the ONBUILD instructions that fire at the start of s: those
// of its base, but not those that its base was built with.
func (s *stage) triggers() []string {
	switch {
	case s.override != "":
		return nil
	case s.image != nil:
		return s.image.Config.Config.OnBuild
	case s.base == nil:
		return nil
	}
	var triggers []string
	for _, cmd := range s.base.commands {
		if c, ok := cmd.Command.(*instructions.OnbuildCommand); ok {
			triggers = append(triggers, c.Expression)
		}
	}
	return triggers
}

// trigger makes an instruction of a trigger. It stands where FROM does.
func (r *resolver) trigger(s *stage, text string) (*instruction, error) {
	fail := func(err error) (*instruction, error) {
		return nil, r.file.fail(s.at, "ONBUILD %s, which the base brings with it: %s", firstLine(text), message(err))
	}
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return fail(err)
	}
	if n := len(result.AST.Children); n != 1 {
		return nil, r.file.fail(s.at, "ONBUILD %s, which the base brings with it: it has %d instructions, not one", firstLine(text), n)
	}
	at := r.file.location(s.at)
	node := result.AST.Children[0]
	node.StartLine, node.EndLine = at.Start, at.End
	parsed, err := instructions.ParseInstructionWithLinter(node, r.lint)
	if err != nil {
		return fail(err)
	}
	cmd, ok := parsed.(instructions.Command)
	if !ok {
		return nil, r.file.fail(s.at, "ONBUILD %s, which the base brings with it: FROM cannot be a trigger", firstLine(text))
	}
	triggered := &instruction{Command: cmd, triggered: true}
	return triggered, r.connect(triggered)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
