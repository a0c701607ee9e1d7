package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/proc"
)

// said is what a program wrote and how it ended.
type said struct {
	stdout, stderr string
	status         int
}

// runWith calls "kiln args..." with a build that does what b does.
func runWith(ctx context.Context, stdin string, b Builder, args ...string) said {
	var stdout, stderr bytes.Buffer
	status := runKiln(ctx, Process{
		Args:  append([]string{"kiln"}, args...),
		Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Env: []string{"HOME=/home/user", "V=3"}, UID: 1000,
	}, b)
	return said{stdout.String(), stderr.String(), status}
}

// failing returns a build that fails with err.
func failing(err error) Builder {
	return func(context.Context, build.Options) (build.Result, error) { return build.Result{}, err }
}

// stepError is an error as the solver returns it.
type stepError struct {
	at   plan.Location
	text string
	tail []string
	err  error
}

func (e *stepError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %v", e.at.File, e.at.Start, e.text, e.err)
}
func (e *stepError) Unwrap() error           { return e.err }
func (e *stepError) Location() plan.Location { return e.at }
func (e *stepError) Output() []string        { return e.tail }

const sixLines = `FROM debian:12
WORKDIR /src
COPY . .
RUN make \
    CFLAGS=-O2
CMD ["/src/hello"]
`

// dirWith returns a directory with a Dockerfile.
func dirWith(t *testing.T, dockerfile string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAFailingRunShowsItsLinesAndItsOutput(t *testing.T) {
	err := fmt.Errorf("build stage 0: %w", &stepError{
		at: plan.Location{File: "Dockerfile", Start: 4, End: 5}, text: "RUN make CFLAGS=-O2",
		tail: []string{"cc -O2 -o hello hello.c", "\x1b[31mhello.c:3: error\x1b[0m"},
		err:  &proc.ExitError{Code: 127},
	})
	got := runWith(t.Context(), "", failing(err), "build", dirWith(t, sixLines))
	const want = `
kiln: build stage 0: Dockerfile:4: RUN make CFLAGS=-O2: exit status 127

  2 | WORKDIR /src
  3 | COPY . .
> 4 | RUN make \
> 5 |     CFLAGS=-O2
  6 | CMD ["/src/hello"]

its last 2 lines of output:
  cc -O2 -o hello hello.c
  hello.c:3: error

hint: exit status 127 says that a program was not found: is it installed in this stage?
`
	if got.stderr != want || got.stdout != "" || got.status != ExitFailed {
		t.Errorf("status %d, stdout %q, stderr:\n%s\nwant:\n%s", got.status, got.stdout, got.stderr, want)
	}
}

func TestAFailureAsJSON(t *testing.T) {
	err := &stepError{
		at: plan.Location{File: "Dockerfile", Start: 4, End: 5}, text: "RUN make",
		tail: []string{"no"}, err: &proc.ExitError{Code: 2},
	}
	got := runWith(t.Context(), "", failing(err), "build", "--progress=json", dirWith(t, sixLines))
	var view map[string]any
	if err := json.Unmarshal([]byte(got.stderr), &view); err != nil {
		t.Fatalf("%v in %q", err, got.stderr)
	}
	want := map[string]any{
		"event": "failed", "error": "Dockerfile:4: RUN make: exit status 2",
		"file": "Dockerfile", "line": 4., "end_line": 5., "exit_status": 2., "output": []any{"no"},
	}
	if fmt.Sprint(view) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", view, want)
	}
}

func TestADockerfileFromStdinIsShown(t *testing.T) {
	err := &stepError{at: plan.Location{File: "-", Start: 1, End: 1}, text: "FROM debian:12", err: errors.New("no such image")}
	got := runWith(t.Context(), sixLines, failing(err), "build", "-f", "-", t.TempDir())
	if !strings.Contains(got.stderr, "\n> 1 | FROM debian:12\n  2 | WORKDIR /src\n  3 | COPY . .\n") {
		t.Errorf("stderr:\n%s", got.stderr)
	}
}

type errorWithHint struct{ error }

func (errorWithHint) Hint() string { return "log in first" }

func TestAnErrorsHintIsShown(t *testing.T) {
	err := fmt.Errorf("push: %w", errorWithHint{errors.New("unauthorized")})
	got := runWith(t.Context(), "", failing(err), "build", dirWith(t, sixLines))
	if want := "\nkiln: push: unauthorized\n\nhint: log in first\n"; got.stderr != want {
		t.Errorf("stderr %q, want %q", got.stderr, want)
	}
}

func TestExcerptsOfOddPlaces(t *testing.T) {
	long := strings.Repeat("line\n", 200)
	for _, c := range []struct {
		name, content string
		start, end    int
		want          string
	}{
		{"the first line", "a\nb\nc\nd\n", 1, 1, "> 1 | a\n  2 | b\n  3 | c\n"},
		{"the last line", "a\nb\nc\nd", 4, 4, "  2 | b\n  3 | c\n> 4 | d\n"},
		{"empty lines and those of Windows", "a\r\n\r\nb\r\n", 2, 2, "  1 | a\n> 2 |\n  3 | b\n"},
		{"an end behind the end", "a\n", 1, 9, "> 1 | a\n"},
		{"no place", "a\n", 0, 0, ""},
		{"a place behind the end", "a\n", 7, 7, ""},
		{"a terminal's escape sequence", "\x1b[2Ja\n", 1, 1, "> 1 | a\n"},
		{
			"a long instruction", long, 9, 180,
			"    7 | line\n    8 | line\n" + inside(9, 28) + ">     | (151 more lines)\n> 180 | line\n  181 | line\n  182 | line\n",
		},
	} {
		source := func() ([]byte, error) { return []byte(c.content), nil }
		if got := excerptOf(source, c.start, c.end); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

func inside(first, last int) string {
	var s strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&s, "> %3d | line\n", n)
	}
	return s.String()
}

func TestAnInterruptExits130(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		ctx, cancel := context.WithCancelCause(t.Context())
		interruptedBuild := func(ctx context.Context, _ build.Options) (build.Result, error) {
			cancel(&Interrupt{Signal: signal})
			<-ctx.Done()
			return build.Result{}, fmt.Errorf("run: %w", context.Cause(ctx))
		}
		got := runWith(ctx, "", interruptedBuild, "build", "--progress=quiet", dirWith(t, sixLines))
		if got.status != ExitInterrupted || got.stderr != "kiln: interrupted\n" {
			t.Errorf("%v: status %d, stderr %q", signal, got.status, got.stderr)
		}
	}
}

func TestWhatGoesWrongAtAnInterruptIsSaid(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Interrupt{Signal: syscall.SIGINT})
	got := runWith(ctx, "", failing(errors.New("unmount: busy")), "build", "--progress=quiet", dirWith(t, sixLines))
	if got.status != ExitInterrupted || got.stderr != "kiln: interrupted: unmount: busy\n" {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
}
