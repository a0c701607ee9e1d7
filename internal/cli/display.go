package cli

import (
	"context"
	"io"
	"log/slog"
	"sync"

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
func (f *buildFlags) checkShown(Process, *build.Options) error {
	if err := oneOf("progress", f.progress, "auto", "tty", "plain", "json", "quiet"); err != nil {
		return err
	}
	switch {
	case f.quiet && f.progress != "auto" && f.progress != "quiet":
		return misuse("give one of them", "--quiet and --progress %s contradict each other", f.progress)
	case f.verbose && f.progress == "tty":
		return misuse("use --progress plain with --verbose", "--verbose and --progress tty would write over each other")
	}
	return nil
}

// display makes the display that the flags ask for, on stderr.
func (f *buildFlags) display(_ context.Context, p Process) display {
	w := &lockedWriter{w: p.Stderr}
	d := display{close: func() {}, log: slog.New(slog.DiscardHandler)}
	if f.verbose {
		d.log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var sink progress.Sink
	switch {
	case f.quiet, f.progress == "quiet":
		sink = progress.NewQuiet()
	case f.progress == "json":
		sink, d.json = progress.NewJSON(w), true
		if f.verbose {
			handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
			d.log = slog.New(handler).With("event", "log")
		}
	default:
		sink = progress.NewPlain(w)
	}
	d.reporter = progress.NewReporter(sink)
	return d
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
