package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/progress"
)

// What errors may know besides their text. Rooms give their errors these
// methods; they need not know that anyone asks.
type (
	// located is an error with a place in the Dockerfile.
	located interface{ Location() plan.Location }
	// spoken is an error of something that printed: its last lines.
	spoken interface{ Output() []string }
	// hinted is an error that knows what to do about it.
	hinted interface{ Hint() string }
)

// buildFailure is what build.Build returned, with what is needed to show it.
type buildFailure struct {
	err    error
	source dockerfileText
	mask   *progress.Mask
	json   bool
}

func (f *buildFailure) Error() string { return f.err.Error() }
func (f *buildFailure) Unwrap() error { return f.err }

// report says on w what went wrong and returns the exit status.
func report(ctx context.Context, w io.Writer, err error) int {
	var usage *usageError
	var failure *buildFailure
	var passed *ended
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return ExitOK
	case errors.As(err, &passed):
		return passed.status
	case errors.As(err, &usage):
		reportUsage(w, usage)
		return ExitUsage
	case interrupted(ctx):
		reportInterrupted(w, err)
		return ExitInterrupted
	case errors.As(err, &failure):
		reportFailure(w, failure)
	default:
		fmt.Fprintf(w, "kiln: %s\n", readable(err.Error()))
	}
	return ExitFailed
}

func reportUsage(w io.Writer, err *usageError) {
	fmt.Fprintf(w, "%s: %s\n", err.Command, readable(err.Problem))
	if err.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", err.Hint)
	} else {
		fmt.Fprintf(w, "hint: %s --help lists the flags\n", err.Command)
	}
}

// interrupted reports whether a signal ended ctx.
func interrupted(ctx context.Context) bool {
	var signal *Interrupt
	return errors.As(context.Cause(ctx), &signal)
}

// reportInterrupted says that the build was interrupted, and what went wrong in
// ending it, if anything did.
func reportInterrupted(w io.Writer, err error) {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "kiln: interrupted")
		return
	}
	fmt.Fprintf(w, "kiln: interrupted: %s\n", readable(err.Error()))
}

// reportFailure shows a failed build: what failed, the lines of the Dockerfile,
// the last lines of output, what to do.
func reportFailure(w io.Writer, f *buildFailure) {
	view := viewOf(f)
	if f.json {
		// Nothing in the view fails to encode.
		line, _ := json.Marshal(view)
		fmt.Fprintf(w, "%s\n", line)
		return
	}
	fmt.Fprintf(w, "\nkiln: %s\n", readable(view.Error))
	if excerpt := excerptOf(f.source, view.Start, view.End); excerpt != "" {
		fmt.Fprintf(w, "\n%s", excerpt)
	}
	if len(view.Output) > 0 {
		fmt.Fprintf(w, "\nits last %s of output:\n", count(len(view.Output), "line"))
		for _, line := range view.Output {
			fmt.Fprintf(w, "  %s\n", progress.Clean(line))
		}
	}
	if view.Hint != "" {
		fmt.Fprintf(w, "\nhint: %s\n", readable(view.Hint))
	}
}

// failureView is all there is to say of a failure; as JSON it is documented in
// docs/progress.md.
type failureView struct {
	Event  string   `json:"event"`
	Error  string   `json:"error"`
	File   string   `json:"file,omitempty"`
	Start  int      `json:"line,omitempty"`
	End    int      `json:"end_line,omitempty"`
	Exit   int      `json:"exit_status,omitempty"`
	Output []string `json:"output,omitempty"`
	Hint   string   `json:"hint,omitempty"`
}

func viewOf(f *buildFailure) failureView {
	view := failureView{Event: "failed", Error: f.mask.Text(f.err.Error()), Hint: hintOf(f.err)}
	var at located
	if errors.As(f.err, &at) {
		place := at.Location()
		view.File, view.Start, view.End = place.File, place.Start, max(place.Start, place.End)
	}
	var said spoken
	if errors.As(f.err, &said) {
		for _, line := range said.Output() {
			view.Output = append(view.Output, f.mask.Text(line))
		}
	}
	var exit *proc.ExitError
	if errors.As(f.err, &exit) {
		view.Exit = exit.Code
	}
	return view
}

// hintOf returns what err says is to be done, or what its exit status usually
// means.
func hintOf(err error) string {
	var h hinted
	if errors.As(err, &h) && h.Hint() != "" {
		return h.Hint()
	}
	var exit *proc.ExitError
	if !errors.As(err, &exit) {
		return ""
	}
	switch {
	case exit.Code == 126:
		return "exit status 126 says that a file was found and cannot be executed: look at its mode, its interpreter line and its architecture"
	case exit.Code == 127:
		return "exit status 127 says that a program was not found: is it installed in this stage?"
	case exit.Code == 137:
		return "the command was killed (SIGKILL): mostly for want of memory"
	}
	return ""
}

// context lines around an instruction in an excerpt, and how many lines of the
// instruction itself are shown.
const (
	aroundLines = 2
	insideLines = 20
)

// excerptOf shows lines start to end of the Dockerfile with two lines before
// and after; "" if there is nothing to show.
func excerptOf(source dockerfileText, start, end int) string {
	if start < 1 || source == nil {
		return ""
	}
	content, err := source()
	if err != nil {
		return "" // the error itself is the news; that its lines cannot be shown is not
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if start > len(lines) {
		return ""
	}
	first, last := max(1, start-aroundLines), min(len(lines), end+aroundLines)
	width := len(fmt.Sprint(last))
	var out strings.Builder
	for n := first; n <= last; n++ {
		if n == start+insideLines && end > n {
			fmt.Fprintf(&out, "> %*s | (%d more lines)\n", width, "", end-n)
			n = end
		}
		mark := " "
		if n >= start && n <= end {
			mark = ">"
		}
		text := progress.Clean(strings.TrimRight(lines[n-1], "\r"))
		out.WriteString(strings.TrimRight(fmt.Sprintf("%s %*d | %s", mark, width, n, text), " ") + "\n")
	}
	return out.String()
}

// readable returns text without what would act on a terminal, line by line.
func readable(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = progress.Clean(line)
	}
	return strings.Join(lines, "\n")
}

func count(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
