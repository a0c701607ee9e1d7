package dockerfile

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/util/suggest"
	"github.com/moby/patternmatcher"

	"github.com/kiln-build/kiln/internal/plan"
)

// lintFile does the checks that need nothing but the text. More are done by
// BuildKit's instructions package as it reads.
func (r *resolver) lintFile(stages []instructions.Stage) {
	rule := &linter.RuleNoEmptyContinuation
	for _, at := range r.file.emptyContinuations {
		r.lint.Run(rule, []parser.Range{at}, rule.Format())
	}
	r.lintStageNames(stages)
	r.lintCasing(stages)
}

func (r *resolver) lintStageNames(stages []instructions.Stage) {
	seen := make(map[string]bool)
	for _, s := range stages {
		if s.Name == "" {
			continue
		}
		if s.Name == scratch || s.Name == "context" {
			r.lint.Run(&linter.RuleReservedStageName, s.Location, linter.RuleReservedStageName.Format(s.Name))
		}
		if seen[s.Name] {
			r.lint.Run(&linter.RuleDuplicateStageName, s.Location, linter.RuleDuplicateStageName.Format(s.Name))
		}
		seen[s.Name] = true
	}
}

// lintCasing finds instructions that are not in the case of most.
func (r *resolver) lintCasing(stages []instructions.Stage) {
	type word struct {
		name string
		at   []parser.Range
	}
	var words []word
	for _, s := range stages {
		words = append(words, word{s.OrigCmd, s.Location})
		for _, cmd := range s.Commands {
			words = append(words, word{cmd.Name(), cmd.Location()})
		}
	}
	lower, upper := 0, 0
	for _, w := range words {
		switch w.name {
		case strings.ToLower(w.name):
			lower++
		case strings.ToUpper(w.name):
			upper++
		}
	}
	wanted, toWanted := "uppercase", strings.ToUpper
	if lower > upper {
		wanted, toWanted = "lowercase", strings.ToLower
	}
	for _, w := range words {
		if w.name != toWanted(w.name) {
			r.lint.Run(&linter.RuleConsistentInstructionCasing, w.at, linter.RuleConsistentInstructionCasing.Format(w.name, wanted))
		}
	}
}

// lintDefaultBases finds bases that are no image unless an argument is given.
func (r *resolver) lintDefaultBases(stages []instructions.Stage, platform env, commands []instructions.ArgCommand) {
	args, err := r.expandGlobals(platform, commands, nil)
	if err != nil {
		return // the same comes up again where it matters
	}
	for _, s := range stages {
		base, _, err := r.lex.ProcessWord(s.BaseName, args)
		if err != nil {
			return
		}
		if _, err := reference.ParseNormalizedNamed(base); err != nil {
			r.lint.Run(&linter.RuleInvalidDefaultArgInFrom, s.Location, linter.RuleInvalidDefaultArgInFrom.Format(s.BaseName))
		}
	}
}

// lintFromArgs finds ARGs in a FROM that are not declared before the first.
func (r *resolver) lintFromArgs(unmatched map[string]struct{}, at []parser.Range, lint *linter.Linter) {
	known := append(r.globals.Keys(), r.declared...)
	slices.Sort(known)
	for _, name := range sortedKeys(unmatched) {
		if slices.Contains(known, name) {
			continue
		}
		match, _ := suggest.Search(name, known, true)
		lint.Run(&linter.RuleUndefinedArgInFrom, at, linter.RuleUndefinedArgInFrom.Format(name, match))
	}
}

// lintTargetPlatform finds a FROM --platform that says what is so anyway.
func (r *resolver) lintTargetPlatform(d instructions.Stage, match shell.ProcessWordResult, lint *linter.Linter) {
	const target = "TARGETPLATFORM"
	if _, only := match.Matched[target]; !only || len(match.Matched) != 1 || len(match.Unmatched) != 0 {
		return
	}
	if value, _ := r.globals.Get(target); value == match.Result {
		lint.Run(&linter.RuleRedundantTargetPlatform, d.Location, linter.RuleRedundantTargetPlatform.Format(d.Platform))
	}
}

// lintConstPlatform finds a FROM --platform that is always the same, but for
// stages that are named after it.
func lintConstPlatform(d instructions.Stage, match shell.ProcessWordResult, lint *linter.Linter) {
	if len(match.Matched) > 0 || len(match.Unmatched) > 0 {
		return
	}
	p, err := platforms.Parse(match.Result)
	if err != nil || strings.Contains(d.Name, p.OS) || strings.Contains(d.Name, p.Architecture) {
		return
	}
	rule := &linter.RuleFromPlatformFlagConstDisallowed
	lint.Run(rule, d.Location, rule.Format(match.Result))
}

// lintPlatform finds an image of another platform than the one asked for.
func (r *resolver) lintPlatform(u use, found *plan.Image) {
	wanted, got := u.platform, found.Config.Platform
	if !u.check || wanted.OS == got.OS && wanted.Architecture == got.Architecture {
		return
	}
	rule := &linter.RuleInvalidBaseImagePlatform
	r.lint.Run(rule, u.at, rule.Format(u.ref,
		platforms.FormatAll(platforms.Normalize(wanted)), platforms.FormatAll(platforms.Normalize(got))))
}

// lintUndefined finds variables that are neither ENV nor ARG.
func (w *walker) lintUndefined(cmd *instruction, unmatched map[string]struct{}) {
	for _, name := range sortedKeys(unmatched) {
		if _, declared := w.args.Get(name); declared || isForFrontend(name) {
			continue
		}
		match, _ := suggest.Search(name, w.env.Keys(), true)
		message := linter.RuleUndefinedVar.Format(name, match)
		if _, global := w.globals.Get(name); global || slices.Contains(w.declared, name) {
			w.hints[message] = "a stage sees an ARG from above the first FROM only if it declares it again: ARG " + name
		}
		w.lint.Run(&linter.RuleUndefinedVar, cmd.Location(), message)
	}
}

// lintDelimiter finds ENV key value and LABEL key value.
func (w *walker) lintDelimiter(c instructions.Command, pair instructions.KeyValuePair) {
	if pair.NoDelim {
		w.lint.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(c.Name()))
	}
}

// lintOnce finds instructions of which only the last counts, and remembers this
// one. The warning is about the one that does not count.
func (w *walker) lintOnce(c instructions.Command, last *[]parser.Range) {
	if *last != nil {
		rule := &linter.RuleMultipleInstructionsDisallowed
		w.lint.Run(rule, *last, rule.Format(c.Name()))
	}
	*last = c.Location()
}

// Words in names of variables that hold secrets, and words that say they do not.
var (
	secretName   = regexp.MustCompile(`(?i)(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)`)
	harmlessName = regexp.MustCompile(`(?i)(?:_|^)(?:public|file|version)(?:_|$)`)
)

// lintSecret finds secrets in ARG and ENV.
func (w *walker) lintSecret(instruction, key string, c instructions.Command) {
	if secretName.MatchString(key) && !harmlessName.MatchString(key) {
		rule := &linter.RuleSecretsUsedInArgOrEnv
		w.lint.Run(rule, c.Location(), rule.Format(instruction, key))
	}
}

// lintIgnored finds sources that the ignore file leaves out. Where it has
// exceptions nothing is said: one could be below.
func (w *walker) lintIgnored(cmd *instruction, op *plan.Copy, src string) {
	matcher, err := patternmatcher.New(w.opts.Ignore)
	if err != nil || len(w.opts.Ignore) == 0 || matcher.Exclusions() {
		return
	}
	src = path.Clean(src)
	if (src == "." || src == "/") && !ignoresAll(matcher) {
		return
	}
	if ignored, err := matcher.MatchesOrParentMatches(src); err != nil || !ignored {
		return
	}
	name := "Copy"
	if op.Add {
		name = "Add"
	}
	w.lint.Run(&linter.RuleCopyIgnoredFile, cmd.Location(), linter.RuleCopyIgnoredFile.Format(name, src))
}

func ignoresAll(matcher *patternmatcher.PatternMatcher) bool {
	return slices.ContainsFunc(matcher.Patterns(), func(p *patternmatcher.Pattern) bool {
		return slices.Contains([]string{"*", "**", "**/*"}, p.String())
	})
}

// ruleQuotes is a check of kiln's own.
var ruleQuotes = linter.LinterRule[func(string) string]{
	Name:        "SingleQuotesInJSON",
	Description: "A command in JSON form takes double quotes; with single quotes the shell runs it as one word",
	Format: func(instruction string) string {
		return instruction + " looks like JSON but has single quotes, so a shell will run it; write it with double quotes"
	},
}

// singleQuoted matches what was meant as JSON.
var singleQuoted = regexp.MustCompile(`^\s*\[\s*'.*\]\s*$`)

// lintQuotes finds commands that were meant as JSON.
func (w *walker) lintQuotes(c instructions.Command, line instructions.ShellDependantCmdLine) {
	if len(line.CmdLine) == 1 && singleQuoted.MatchString(line.CmdLine[0]) {
		rule := ruleQuotes
		w.lint.Run(&rule, c.Location(), rule.Format(strings.ToUpper(c.Name())))
	}
}
