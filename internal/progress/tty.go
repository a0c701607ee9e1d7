package progress

import (
	"io"
	"sync"
	"time"
)

// redrawEvery is how often a terminal is drawn at most.
const redrawEvery = 100 * time.Millisecond

// TTY shows a build on a terminal: one line a running task, with its last line
// of output or the size and rate of its transfer, and the elapsed time; tasks
// that have ended scroll away above.
type TTY struct {
	w    io.Writer
	size func() (width, height int)

	mu       sync.Mutex
	board    board
	painter  painter
	released bool // the cursor was given back for good

	stop chan struct{}
	done chan struct{}
	once sync.Once
}

// NewTTY returns a sink that draws on the terminal w until Close is called.
// size returns the terminal's size in cells, zeros if it is not known; it is
// asked before each redraw. The sink never draws more than ten times a second.
func NewTTY(w io.Writer, size func() (width, height int), color bool) *TTY {
	t := &TTY{w: w, size: size, painter: painter{color: color}, stop: make(chan struct{}), done: make(chan struct{})}
	go t.loop()
	return t
}

// Emit takes e up into what is shown by the next redraw.
func (t *TTY) Emit(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.board.apply(e)
}

// Release gives the cursor back, and goes on drawing. It is for the first
// interrupt: the second kills, and then nobody is left to do it.
func (t *TTY) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.released = true
	t.write(t.painter.showCursor())
}

// Close draws what was not drawn yet, takes away the lines of what did not end,
// and gives the cursor back.
func (t *TTY) Close() {
	t.once.Do(func() { close(t.stop) })
	<-t.done
}

func (t *TTY) loop() {
	defer close(t.done)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.draw(now)
		case <-t.stop:
			t.finish()
			return
		}
	}
}

func (t *TTY) draw(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	width, height := t.screen()
	t.write(t.painter.frame(t.board.above, t.board.lines(now, height-1), width, height, !t.released))
	t.board.above = nil
}

func (t *TTY) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	width, height := t.screen()
	t.write(t.painter.frame(t.board.above, nil, width, height, false) + t.painter.showCursor())
	t.board.above = nil
}

// screen returns the terminal's size, or the usual one.
func (t *TTY) screen() (width, height int) {
	width, height = t.size()
	if width <= 0 {
		width = 80
	}
	if height <= 0 {
		height = 24
	}
	return width, height
}

func (t *TTY) write(s string) {
	if s != "" {
		// A terminal that is gone must not end the build.
		_, _ = io.WriteString(t.w, s)
	}
}
