package progress

import "sync"

// recorder is a sink that keeps what it gets.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

func (r *recorder) Emit(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// lines returns the lines of all events of one kind.
func (r *recorder) lines(k Kind) []string {
	var lines []string
	for _, e := range r.events {
		if e.Kind == k {
			lines = append(lines, e.Line)
		}
	}
	return lines
}
