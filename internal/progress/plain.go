package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// plainAdvance is how often a transfer says in a log how far it is.
const plainAdvance = 5 * time.Second

// Plain prints events as lines for logs:
//
//	#5 [build 2/4] RUN make
//	#5 0.412 cc -o hello hello.c
//	#5 DONE 1.2s
//
// Every line starts with its task's number, so the lines of steps that run side
// by side can be told apart; a line is one write and never torn.
type Plain struct {
	mu    sync.Mutex
	w     io.Writer
	tasks map[int]*plainTask
	count int
}

type plainTask struct {
	number         int // what is printed; details are not counted
	started        time.Time
	said           time.Time // when an amount was printed last
	current, total int64
}

// NewPlain returns a sink that prints to w. It drops what it cannot write.
func NewPlain(w io.Writer) *Plain {
	return &Plain{w: w, tasks: make(map[int]*plainTask)}
}

// Emit prints what e says, if it is of interest in a log.
func (p *Plain) Emit(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == Started && !e.Info.Detail {
		p.count++
		p.tasks[e.Task] = &plainTask{number: p.count, started: e.Time, said: e.Time}
	}
	line := p.line(e, p.tasks[e.Task])
	if e.Kind == Finished {
		delete(p.tasks, e.Task)
	}
	if line != "" {
		// A log that cannot be written must not end the build.
		_, _ = io.WriteString(p.w, line+"\n")
	}
}

// line returns what is printed for e, "" for nothing. t is nil for what belongs
// to no task, or to a detail.
func (p *Plain) line(e Event, t *plainTask) string {
	if t == nil {
		if e.Kind == Warning {
			return "WARNING: " + Clean(e.Line)
		}
		return ""
	}
	seconds := e.Time.Sub(t.started).Seconds()
	switch e.Kind {
	case Started:
		return fmt.Sprintf("#%d %s", t.number, label(e.Info))
	case Output:
		return strings.TrimRight(fmt.Sprintf("#%d %.3f %s", t.number, seconds, Clean(e.Line)), " ")
	case Warning:
		return fmt.Sprintf("#%d WARNING: %s", t.number, Clean(e.Line))
	case Advanced:
		t.current, t.total = e.Current, e.Total
		if e.Time.Sub(t.said) < plainAdvance {
			return ""
		}
		t.said = e.Time
		return fmt.Sprintf("#%d %.1fs %s", t.number, seconds, amountText(t.current, t.total))
	case Finished:
		return fmt.Sprintf("#%d %s", t.number, t.verdict(e, seconds))
	}
	return ""
}

func (t *plainTask) verdict(e Event, seconds float64) string {
	switch e.Verdict {
	case Cached:
		return "CACHED"
	case Failed:
		return "ERROR " + oneLine(fmt.Sprint(e.Err))
	case Canceled:
		return "CANCELED"
	}
	if amount := amountText(t.current, t.total); amount != "" {
		return fmt.Sprintf("DONE %.1fs %s", seconds, amount)
	}
	return fmt.Sprintf("DONE %.1fs", seconds)
}
