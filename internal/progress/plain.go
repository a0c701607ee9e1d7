package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// plainAdvance is how often a transfer says in a log how far it is. What takes
// less time says nothing of itself.
const plainAdvance = 5 * time.Second

// Plain prints events as lines for logs:
//
//	#5 [build 2/4] RUN make
//	#5 0.412 cc -o hello hello.c
//	#5 DONE 1.2s
//
// Every line starts with its task's number, so the lines of steps that run side
// by side can be told apart; a line is never torn. Details are printed from when
// they take long.
type Plain struct {
	mu    sync.Mutex
	w     io.Writer
	tasks map[int]*plainTask
	count int
}

type plainTask struct {
	info           Task
	number         int // what is printed; 0 as long as the task is not
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
	if e.Kind == Started {
		p.tasks[e.Task] = &plainTask{info: e.Info, started: e.Time, said: e.Time}
	}
	text := p.text(e, p.tasks[e.Task])
	if e.Kind == Finished {
		delete(p.tasks, e.Task)
	}
	if text != "" {
		// A log that cannot be written must not end the build.
		_, _ = io.WriteString(p.w, text)
	}
}

// text returns the lines that e is printed as, "" for none. t is nil for what
// belongs to no task.
func (p *Plain) text(e Event, t *plainTask) string {
	if e.Kind == Warning && (t == nil || t.number == 0) {
		return "WARNING: " + Clean(e.Line) + "\n"
	}
	if t == nil {
		return ""
	}
	header := ""
	if t.number == 0 && !t.isDetailAt(e) {
		p.count++
		t.number = p.count
		header = fmt.Sprintf("#%d %s\n", t.number, label(t.info))
	}
	line := t.line(e)
	if t.number == 0 || line == "" {
		return header
	}
	return header + strings.TrimRight(fmt.Sprintf("#%d %s", t.number, line), " ") + "\n"
}

// isDetailAt reports whether the task is, when e happens, still a detail that is
// not worth a line.
func (t *plainTask) isDetailAt(e Event) bool {
	return t.info.Detail && (e.Kind != Advanced || e.Time.Sub(t.started) < plainAdvance)
}

// line is what e says of the task.
func (t *plainTask) line(e Event) string {
	seconds := e.Time.Sub(t.started).Seconds()
	switch e.Kind {
	case Output:
		return fmt.Sprintf("%.3f %s", seconds, Clean(e.Line))
	case Warning:
		return "WARNING: " + Clean(e.Line)
	case Advanced:
		t.current, t.total = e.Current, e.Total
		if e.Time.Sub(t.said) < plainAdvance {
			return ""
		}
		t.said = e.Time
		return fmt.Sprintf("%.1fs %s", seconds, amountText(t.current, t.total))
	case Finished:
		return t.verdict(e, seconds)
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
