package step

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/kiln-build/kiln/internal/plan"
)

// MissingSourceError is returned for a source that is not there.
type MissingSourceError struct {
	// Source is the source as written.
	Source string
	// Where says what was looked through, for people.
	Where string
	// LinkTo is where a link that was named leads to, if that is what is
	// missing.
	LinkTo string
	// Pattern is the pattern that hides the source, and File where that is
	// from, if the source is there but ignored.
	Pattern, File string
}

// Error implements error.
func (e *MissingSourceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "find source %s: not found in %s", e.Source, e.Where)
	if e.LinkTo != "" {
		fmt.Fprintf(&b, "; it is a link to %s, which does not exist", e.LinkTo)
	}
	if e.Pattern != "" {
		fmt.Fprintf(&b, "; it is there, but the pattern %q in %s excludes it", e.Pattern, e.File)
	}
	return b.String()
}

// Unwrap makes it an [fs.ErrNotExist].
func (e *MissingSourceError) Unwrap() error { return fs.ErrNotExist }

// ignorer is a view that hides what an ignore file excludes.
type ignorer interface {
	IgnoredBy(path string) (pattern, file string, ok bool)
}

// missing explains why path, which led to resolved, is not there.
func (s *Selection) missing(source plan.Source, path, resolved string) error {
	e := &MissingSourceError{Source: source.Path, Where: where(s.op.From)}
	if resolved != path {
		e.LinkTo = resolved
	}
	if view, ok := s.view.(ignorer); ok {
		e.Pattern, e.File, _ = view.IgnoredBy(resolved)
	}
	return e
}

func where(from plan.Origin) string {
	switch {
	case from.Stage != nil && from.Stage.Name != "":
		return "stage " + from.Stage.Name
	case from.Stage != nil:
		return fmt.Sprintf("stage %d", from.Stage.Index)
	case from.Image != nil:
		return "image " + from.Image.Ref
	case from.Context != "":
		return "build context " + from.Context
	}
	return "the build context"
}
