package progress

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// JSON prints each event as one JSON object on a line of its own; see
// docs/progress.md for the fields. Names that were published do not change.
type JSON struct {
	mu      sync.Mutex
	w       io.Writer
	started map[int]time.Time
}

// jsonEvent is the schema: the fields of all kinds of events.
type jsonEvent struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
	Task  int       `json:"task,omitempty"`

	Name   string `json:"name,omitempty"`
	Stage  string `json:"stage,omitempty"`
	Step   int    `json:"step,omitempty"`
	Steps  int    `json:"steps,omitempty"`
	Line   int    `json:"line,omitempty"`
	Detail bool   `json:"detail,omitempty"`

	Text *string `json:"text,omitempty"`

	Current *int64 `json:"current,omitempty"`
	Total   int64  `json:"total,omitempty"`

	Verdict Verdict  `json:"verdict,omitempty"`
	Seconds *float64 `json:"seconds,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// NewJSON returns a sink that prints to w. It drops what it cannot write.
func NewJSON(w io.Writer) *JSON {
	return &JSON{w: w, started: make(map[int]time.Time)}
}

// Emit prints e.
func (j *JSON) Emit(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := jsonEvent{Time: e.Time.UTC(), Task: e.Task}
	switch e.Kind {
	case Started:
		j.started[e.Task] = e.Time
		out.Event = "started"
		out.Name, out.Stage, out.Step, out.Steps = e.Info.Name, e.Info.Stage, e.Info.Step, e.Info.Steps
		out.Line, out.Detail = e.Info.Line, e.Info.Detail
	case Output:
		out.Event, out.Text = "output", &e.Line
	case Warning:
		out.Event, out.Text = "warning", &e.Line
	case Advanced:
		out.Event, out.Current, out.Total = "advanced", &e.Current, e.Total
	case Finished:
		seconds := e.Time.Sub(j.started[e.Task]).Seconds()
		delete(j.started, e.Task)
		out.Event, out.Verdict, out.Seconds = "finished", e.Verdict, &seconds
		if e.Err != nil {
			out.Error = e.Err.Error()
		}
	default:
		return
	}
	j.print(out)
}

func (j *JSON) print(out jsonEvent) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // "RUN a && b" should read as it is written
	// The schema holds nothing that cannot be encoded, and a log that cannot
	// be written must not end the build.
	_ = encoder.Encode(out)
	_, _ = j.w.Write(line.Bytes())
}
