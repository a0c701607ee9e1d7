package progress

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Sink receives events. Emit is safe for concurrent use, does not block for
// long and never fails: a sink that cannot write drops.
type Sink interface {
	Emit(Event)
}

// Event is one thing that happened. Which fields are set is said by Kind.
type Event struct {
	Time time.Time
	Kind Kind
	// Task is the number of the task it happened to, unique within a build.
	Task int
	// Info describes the task (Started only).
	Info Task
	// Line is one line of output without its newline (Output, Overwritten), or
	// a message (Warning).
	Line string
	// Current and Total count bytes (Advanced); Total is 0 if unknown.
	Current, Total int64
	// Verdict says how a task ended (Finished).
	Verdict Verdict
	// Err is why it failed (Finished with verdict Failed), or nil.
	Err error
}

// Kind says what an event is.
type Kind uint8

// The kinds of events.
const (
	Started Kind = iota + 1
	Output
	Advanced
	Finished
	Warning
	// Overwritten is a line that the process has overwritten since with a
	// carriage return: one state of a progress bar. Only the last state of it
	// comes as Output.
	Overwritten
)

// Verdict says how a task ended.
type Verdict string

// The verdicts.
const (
	Done     Verdict = "done"
	Cached   Verdict = "cached"
	Failed   Verdict = "failed"
	Canceled Verdict = "canceled"
)

// Task describes a unit of work that a user recognises: a step of the
// Dockerfile, the pull of a base image, the push of a layer.
type Task struct {
	// Stage is the name of the Dockerfile's stage, or its number; "" outside
	// of stages.
	Stage string
	// Step and Steps count the steps of the stage from 1; 0 for tasks that are
	// not steps.
	Step, Steps int
	// Name is what the user reads: the instruction as written, or
	// "pull debian:12", "push registry.example.com/app:1".
	Name string
	// Line is the line of the Dockerfile, 0 for none.
	Line int
	// Detail marks a task that is part of another one and of interest only
	// while it runs (one layer of a pull).
	Detail bool
}

// Reporter hands out task numbers and stamps events.
type Reporter struct {
	sink  Sink
	tasks atomic.Int64
}

// NewReporter returns a reporter that emits into sink.
func NewReporter(sink Sink) *Reporter {
	return &Reporter{sink: sink}
}

// Warn emits a warning that belongs to no task.
func (r *Reporter) Warn(message string) {
	r.emit(Event{Kind: Warning, Line: message})
}

// Start begins a task.
func (r *Reporter) Start(t Task) *Running {
	n := int(r.tasks.Add(1))
	r.emit(Event{Kind: Started, Task: n, Info: t})
	return &Running{r: r, n: n}
}

func (r *Reporter) emit(e Event) {
	e.Time = time.Now()
	r.sink.Emit(e)
}

// Running is a task that was started and has not ended.
type Running struct {
	r *Reporter
	n int

	mu       sync.Mutex
	advanced time.Time // when Advance last emitted
	dropped  *Event    // what it has dropped since
}

// Print emits one line of output.
func (t *Running) Print(line string) {
	t.r.emit(Event{Kind: Output, Task: t.n, Line: line})
}

// advanceEvery is how often a task says how far it is. Streams call Advance for
// every buffer they copy, which nobody can read and no log should hold.
const advanceEvery = 100 * time.Millisecond

// Advance says how many bytes of how many are done. Of calls that follow each
// other closely only the last is sure to be shown.
func (t *Running) Advance(current, total int64) {
	e := Event{Kind: Advanced, Task: t.n, Current: current, Total: total}
	t.mu.Lock()
	now := time.Now()
	if now.Sub(t.advanced) < advanceEvery {
		t.dropped = &e
		t.mu.Unlock()
		return
	}
	t.advanced, t.dropped = now, nil
	t.mu.Unlock()
	t.r.emit(e)
}

// Warn emits a warning about the task.
func (t *Running) Warn(message string) {
	t.r.emit(Event{Kind: Warning, Task: t.n, Line: message})
}

// End ends the task: v if err is nil, else Failed, or Canceled where err is the
// build's cancellation.
func (t *Running) End(v Verdict, err error) {
	t.mu.Lock()
	last := t.dropped
	t.mu.Unlock()
	if last != nil {
		t.r.emit(*last)
	}
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		v = Canceled
	default:
		v = Failed
	}
	t.r.emit(Event{Kind: Finished, Task: t.n, Verdict: v, Err: err})
}

type discard struct{}

func (discard) Emit(Event) {}

// Discard returns a reporter that drops everything.
func Discard() *Reporter { return NewReporter(discard{}) }
