package cli

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/term"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/progress"
)

// display is what a build tells the user while it runs.
type display struct {
	reporter *progress.Reporter
	log      *slog.Logger
	close    func()
	// json says that all else on stderr has to be JSON, too.
	json bool
}

// checkShown checks what the user wants to see.
func (f *buildFlags) checkShown(p Process, _ *build.Options) error {
	if err := checkChoice("progress", f.progress); err != nil {
		return err
	}
	switch {
	case f.quiet && f.progress != "auto" && f.progress != "quiet":
		return misuse("give one of them", "--quiet and --progress %s contradict each other", f.progress)
	case f.verbose && f.progress == "tty":
		return misuse("use --progress plain with --verbose", "--verbose and --progress tty would write over each other")
	case f.progress == "tty" && terminal(p.Stderr) == nil:
		return misuse("use --progress plain", "--progress tty needs a terminal, and stderr is none")
	}
	return nil
}

// display makes the display that the flags ask for, on stderr, with what mask
// hides hidden. When ctx is interrupted, it says so.
func (f *buildFlags) display(ctx context.Context, p Process, mask *progress.Mask) display {
	w := &lockedWriter{w: p.Stderr}
	sink, closeSink, release := f.sink(p, w)
	d := display{
		reporter: progress.NewReporter(mask.Sink(sink)),
		log:      slog.New(slog.DiscardHandler),
		json:     f.kind(p) == "json",
	}
	if f.verbose {
		d.log = slog.New(f.logHandler(w))
	}
	noted := context.AfterFunc(ctx, func() {
		release()
		d.reporter.Warn("interrupted: ending what runs; a second interrupt kills kiln")
	})
	d.close = func() {
		noted()
		closeSink()
	}
	return d
}

// kind resolves --progress auto and --quiet.
func (f *buildFlags) kind(p Process) string {
	switch {
	case f.quiet:
		return "quiet"
	case f.progress != "auto":
		return f.progress
	case terminal(p.Stderr) == nil, p.getenv("TERM") == "dumb", f.verbose:
		return "plain"
	}
	return "tty"
}

// sink makes the sink of the progress. release gives the terminal back before
// the end.
func (f *buildFlags) sink(p Process, w io.Writer) (sink progress.Sink, closeSink, release func()) {
	nothing := func() {}
	switch f.kind(p) {
	case "quiet":
		return progress.NewQuiet(), nothing, nothing
	case "json":
		return progress.NewJSON(w), nothing, nothing
	case "plain":
		return progress.NewPlain(w), nothing, nothing
	}
	screen := terminal(p.Stderr)
	size := func() (width, height int) {
		width, height, err := term.GetSize(int(screen.Fd()))
		if err != nil {
			return 0, 0
		}
		return width, height
	}
	tty := progress.NewTTY(w, size, p.getenv("NO_COLOR") == "")
	return tty, tty.Close, tty.Release
}

// logHandler writes the log of --verbose: as JSON between JSON, else as text.
func (f *buildFlags) logHandler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	if f.progress == "json" {
		return slog.NewJSONHandler(w, options).WithAttrs([]slog.Attr{slog.String("event", "log")})
	}
	return slog.NewTextHandler(w, options)
}

// lockedWriter lets progress and log share a stream, line by line.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
