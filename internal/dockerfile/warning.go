package dockerfile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kiln-build/kiln/internal/plan"
)

// Warning is what a check found. The rules are BuildKit's, by its names.
type Warning struct {
	// Rule is the rule's name, which the check directive knows it by.
	Rule string
	// Message says what was found; Description is the rule in general.
	Message, Description string
	// URL is where the rule is explained, "" if nowhere.
	URL string
	// At is the instruction.
	At plan.Location
	// Line and Column are where the word stands that is wrong, counted from 1,
	// in bytes; 0 if that is not known.
	Line, Column int
	// Hint says what to do, "" where Message does.
	Hint string
}

// report collects the warnings of one resolution.
type report struct {
	file     *File
	warnings []Warning
	// hints says what to do, by message. It is filled before a check is run.
	hints map[string]string
	// fatal makes warnings an error.
	fatal bool
}

// newReport returns a report and the linter that fills it. check is in the form
// of the check directive.
func newReport(f *File, check string) (*report, *linter.Linter, error) {
	config, err := linter.ParseLintOptions(check)
	if err != nil {
		return nil, nil, f.fail(nil, "read check options %q", check).because(err)
	}
	r := &report{file: f, hints: make(map[string]string), fatal: config.ReturnAsError}
	config.Warn = r.add
	return r, linter.New(config), nil
}

// add is called by the linter. Several words of an instruction may give the same
// warning: it is one.
func (r *report) add(rule, description, url, message string, at []parser.Range) {
	w := Warning{Rule: rule, Description: description, URL: url, Message: message, At: r.file.location(at), Hint: r.hints[message]}
	w.Line, w.Column = r.file.point(w.At, message)
	if !slices.Contains(r.warnings, w) {
		r.warnings = append(r.warnings, w)
	}
}

// sorted returns the warnings in the order of the file.
func (r *report) sorted() []Warning {
	slices.SortStableFunc(r.warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.At.Start, b.At.Start), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return r.warnings
}

// err returns the error that warnings are, where the file asks for it.
func (r *report) err() error {
	if !r.fatal || len(r.warnings) == 0 {
		return nil
	}
	var rules []string
	for _, w := range r.sorted() {
		if !slices.Contains(rules, w.Rule) {
			rules = append(rules, w.Rule)
		}
	}
	first := r.warnings[0]
	return r.file.failAt(first.At.Start, first.At.End, "checks failed: %s: %s", strings.Join(rules, ", "), first.Message).
		hint("warnings are errors here because of the check directive or the argument BUILDKIT_DOCKERFILE_CHECK")
}
