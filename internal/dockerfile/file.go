package dockerfile

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// File is a Dockerfile, cut into instructions. It never changes: the same File can
// be resolved many times, side by side.
type File struct {
	// Name is what the user calls it, in messages.
	Name string
	// Syntax is the value of the syntax directive, "" for none. It names a
	// program that BuildKit would download; kiln reads the language itself.
	Syntax string

	check  string // the value of the check directive
	lines  []string
	escape rune
	nodes  []*parser.Node
	// emptyContinuations are the lines that end an instruction which has empty
	// lines inside.
	emptyContinuations []parser.Range
}

// Parse reads the Dockerfile text, which messages call name: its directives and
// where its instructions begin and end. What they say is read by [Resolve]. Its
// errors are of type [*Error].
func Parse(name string, text []byte) (*File, error) {
	f := &File{Name: name, lines: splitLines(text)}
	if len(text) == 0 {
		return nil, f.fail(nil, "the Dockerfile is empty").hint("a Dockerfile starts with FROM; -f names another file")
	}
	if err := f.readDirectives(); err != nil {
		return nil, err
	}
	result, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, f.syntaxError(err)
	}
	f.escape, f.nodes = result.EscapeToken, result.AST.Children
	for _, w := range result.Warnings {
		if w.URL == linter.RuleNoEmptyContinuation.URL && w.Location != nil {
			f.emptyContinuations = append(f.emptyContinuations, *w.Location)
		}
	}
	return f, nil
}

// Lines returns lines start to end, counted from 1, as they are written.
func (f *File) Lines(start, end int) []string {
	start, end = max(start, 1), min(end, len(f.lines))
	if start > end {
		return nil
	}
	return f.lines[start-1 : end]
}

// readDirectives reads the parser directives. BuildKit's parser does so, too,
// but is one line off in what it says of a bad one.
func (f *File) readDirectives() error {
	p := &parser.DirectiveParser{}
	for i, line := range f.lines {
		line = strings.TrimPrefix(line, "\ufeff")
		d, err := p.ParseLine([]byte(line))
		if err != nil {
			return f.failAt(i+1, i+1, "%v", err)
		}
		if d == nil {
			break
		}
		switch d.Name {
		case "syntax":
			f.Syntax, _, _ = strings.Cut(d.Value, " ")
		case "check":
			f.check, _, _ = strings.Cut(d.Value, " ")
			if _, err := linter.ParseLintOptions(f.check); err != nil {
				return f.failAt(i+1, i+1, "read check directive: %v", err).hint("write it as: # check=skip=RULE,RULE;error=true")
			}
		case "escape":
			if d.Value != "`" && d.Value != `\` {
				return f.failAt(i+1, i+1, "the escape character cannot be %s", d.Value).hint("it is \\ or `")
			}
		}
	}
	return nil
}

// instructions returns the stages and the ARGs before the first, made anew:
// expansion modifies instructions in place.
func (f *File) instructions(lint *linter.Linter) (stages []instructions.Stage, globals []instructions.ArgCommand, err error) {
	for _, node := range f.nodes {
		parsed, err := instructions.ParseInstructionWithLinter(node, lint)
		if err != nil {
			return nil, nil, f.instructionError(node, err)
		}
		switch cmd := parsed.(type) {
		case *instructions.Stage:
			stages = append(stages, *cmd)
		case instructions.Command:
			if len(stages) > 0 {
				stages[len(stages)-1].AddCommand(cmd)
				continue
			}
			arg, isArg := cmd.(*instructions.ArgCommand)
			if !isArg {
				return nil, nil, f.fail(node.Location(), "%s comes before the first FROM", strings.ToUpper(node.Value)).
					hint("an image starts with FROM; only ARG can stand before it")
			}
			globals = append(globals, *arg)
		}
	}
	if len(stages) == 0 {
		return nil, nil, f.fail(nil, "the Dockerfile has no stage to build").hint("a Dockerfile starts with FROM")
	}
	return stages, globals, nil
}

// splitLines cuts text into lines without their ends.
func splitLines(text []byte) []string {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}
