package progress

import (
	"slices"
	"sync"
)

// Tail keeps the last lines of an output, for the error message of who wrote
// them. It is safe for concurrent use.
type Tail struct {
	mu    sync.Mutex
	lines []string // a ring once it is full
	next  int      // where the next line goes
}

// NewTail returns a tail of n lines.
func NewTail(n int) *Tail {
	return &Tail{lines: make([]string, 0, n)}
}

// Add adds a line and forgets the oldest if there are too many.
func (t *Tail) Add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < cap(t.lines) {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % len(t.lines)
}

// Lines returns the lines, the oldest first.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Concat(t.lines[t.next:], t.lines[:t.next])
}
