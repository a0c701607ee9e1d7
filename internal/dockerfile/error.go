package dockerfile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kiln-build/kiln/internal/plan"
)

// Error is something wrong in a Dockerfile.
type Error struct {
	// At is the instruction. Its lines are 0 for what concerns the whole file.
	At plan.Location
	// Problem says what is wrong.
	Problem string
	// Advice says what to do about it, "" if nothing is known.
	Advice string
	// Lines are those of the Dockerfile at At.
	Lines []string
	// Line and Column are where the word stands that is wrong, counted from 1,
	// in bytes; 0 if that is not known.
	Line, Column int
	// Err is the cause, nil where Problem says it all.
	Err error
}

// Error names the place, the problem and its cause.
func (e *Error) Error() string {
	text := e.At.File
	if e.At.Start > 0 {
		text = fmt.Sprintf("%s:%d", text, e.At.Start)
	}
	text += ": " + e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Location returns the place in the Dockerfile.
func (e *Error) Location() plan.Location { return e.At }

// Hint returns what to do.
func (e *Error) Hint() string { return e.Advice }

// hint sets what to do. It returns e.
func (e *Error) hint(format string, args ...any) *Error {
	e.Advice = fmt.Sprintf(format, args...)
	return e
}

// because sets the cause. It returns e.
func (e *Error) because(err error) *Error {
	e.Err = err
	return e
}

// fail makes an error at a place of BuildKit's parser; none is the whole file.
func (f *File) fail(at []parser.Range, format string, args ...any) *Error {
	where := f.location(at)
	return f.failAt(where.Start, where.End, format, args...)
}

// failAt makes an error at lines start to end.
func (f *File) failAt(start, end int, format string, args ...any) *Error {
	e := &Error{At: plan.Location{File: f.Name, Start: start, End: end}, Problem: fmt.Sprintf(format, args...)}
	if start > 0 {
		e.Lines = f.Lines(start, end)
		e.Line, e.Column = f.point(e.At, e.Problem)
	}
	return e
}

// wrap makes an error at a place out of any other. One that has a place already
// is left alone.
func (f *File) wrap(at []parser.Range, err error) error {
	if err == nil {
		return nil
	}
	var located *Error
	if errors.As(err, &located) {
		return err
	}
	return f.fail(at, "%s", message(err))
}

// location turns the ranges of BuildKit's parser, one a line, into one.
func (f *File) location(ranges []parser.Range) plan.Location {
	at := plan.Location{File: f.Name}
	for i, r := range ranges {
		if i == 0 || r.Start.Line < at.Start {
			at.Start = r.Start.Line
		}
		at.End = max(at.End, r.End.Line)
	}
	return at
}

// quoted matches what a message has in quotes, and what it names behind a colon.
var quoted = regexp.MustCompile(`"([^"]+)"|'([^']+)'|: ([^ :]+)$`)

// point finds the first word that a message quotes in the lines at a place.
func (f *File) point(at plan.Location, message string) (line, column int) {
	for _, found := range quoted.FindAllStringSubmatch(message, -1) {
		word := found[1] + found[2] + found[3]
		for i, text := range f.Lines(at.Start, at.End) {
			if column := strings.Index(text, word); column >= 0 {
				return at.Start + i, column + 1
			}
		}
	}
	return 0, 0
}

// message is the text of an error without what this package says itself: the
// place and a suggestion.
func message(err error) string {
	var located *parser.LocationError
	if errors.As(err, &located) {
		err = located.Unwrap()
	}
	text := withoutSuggestion(err.Error())
	// BuildKit's word for a brace that is not closed.
	return strings.ReplaceAll(text, "unsupported modifier (\uFFFD) in substitution", "} is missing")
}

// syntaxError turns an error of BuildKit's parser into one of this package.
func (f *File) syntaxError(err error) error {
	var located *parser.LocationError
	if !errors.As(err, &located) || len(located.Locations) == 0 {
		return f.fail(nil, "%s", message(err))
	}
	e := f.fail(located.Locations[0], "%s", message(err))
	e.Advice = advise(e.Problem)
	switch e.Problem {
	case "file with no instructions":
		return f.fail(nil, "the Dockerfile has no instructions").hint("a Dockerfile starts with FROM; -f names another file")
	case "unterminated heredoc":
		e.Problem = "the here-document has no end"
		e.Advice = "end it with a line that is its delimiter and nothing else: no spaces before it, tabs only after <<-"
	}
	return e
}
