package progress

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// board is what a terminal shows, without how: tasks that run, and lines that
// go above them for good.
type board struct {
	running []*row // in the order they started
	above   []line // what was not printed yet
}

// row is a task that runs.
type row struct {
	task           int
	info           Task
	started        time.Time
	output         string
	current, total int64
	meter          meter
}

// tone says how a line is coloured.
type tone uint8

const (
	toneNormal tone = iota
	toneGood
	toneBad
	toneWarn
)

// line is one line of the display.
type line struct {
	tone  tone
	mark  string // one cell
	text  string
	note  string // faint, between text and right
	right string // at the right margin
	// whole says that text is not cut: it goes on in the next row. It is for
	// lines above the live ones; note and right are empty.
	whole bool
}

// apply changes the board by what happened.
func (b *board) apply(e Event) {
	if e.Kind == Started {
		b.running = append(b.running, &row{
			task: e.Task, info: e.Info, started: e.Time, meter: meter{since: e.Time, last: e.Time},
		})
		return
	}
	i := slices.IndexFunc(b.running, func(r *row) bool { return r.task == e.Task })
	if i < 0 {
		if e.Kind == Warning {
			b.above = append(b.above, warning(e.Line))
		}
		return
	}
	r := b.running[i]
	switch e.Kind {
	case Output, Overwritten:
		if text := strings.TrimSpace(Clean(e.Line)); text != "" {
			r.output = text
		}
	case Advanced:
		r.current, r.total = e.Current, e.Total
		r.meter.advance(e.Time, e.Current)
	case Warning:
		b.above = append(b.above, warning(label(r.info)+": "+e.Line))
	case Finished:
		b.running = slices.Delete(b.running, i, i+1)
		if !r.info.Detail {
			b.above = append(b.above, r.finished(e))
		}
	}
}

// lines returns the lines of what runs, at most limit.
func (b *board) lines(now time.Time, limit int) []line {
	rows := slices.Clone(b.running)
	if len(rows) > limit { // what is left out should be details
		slices.SortStableFunc(rows, func(a, b *row) int { return detailRank(a) - detailRank(b) })
		rows = rows[:max(0, limit-1)]
	}
	var lines []line
	for _, r := range rows {
		lines = append(lines, r.line(now))
	}
	if hidden := len(b.running) - len(rows); hidden > 0 && limit > 0 {
		lines = append(lines, line{mark: " ", text: fmt.Sprintf("and %d more", hidden)})
	}
	return lines
}

func detailRank(r *row) int {
	if r.info.Detail {
		return 1
	}
	return 0
}

func (r *row) line(now time.Time) line {
	l := line{mark: ">", text: label(r.info), note: r.output, right: elapsedText(now.Sub(r.started))}
	if r.info.Detail {
		l.text = "  " + l.text
	}
	if amount := amountText(r.current, r.total); amount != "" {
		l.note = fmt.Sprintf("%s  %s/s", amount, bytesText(r.meter.rate(now, r.current)))
	}
	return l
}

func (r *row) finished(e Event) line {
	l := line{mark: "✓", tone: toneGood, text: label(r.info), right: elapsedText(e.Time.Sub(r.started))}
	switch e.Verdict {
	case Cached:
		l.right = "cached"
	case Failed:
		l.mark, l.tone, l.note = "✗", toneBad, oneLine(fmt.Sprint(e.Err))
	case Canceled:
		l.mark, l.tone, l.right = "-", toneWarn, "canceled"
	default:
		l.note = amountText(r.current, r.total)
	}
	return l
}

func warning(text string) line {
	return line{mark: "!", tone: toneWarn, text: oneLine(text), whole: true}
}

// meterStep is how far apart the points are that a rate is taken between: short
// enough to follow the network, long enough to be read.
const meterStep = 2 * time.Second

// meter measures a rate between now and the last point but one.
type meter struct {
	since, last           time.Time
	sinceBytes, lastBytes int64
}

func (m *meter) advance(now time.Time, current int64) {
	if now.Sub(m.last) >= meterStep {
		m.since, m.sinceBytes = m.last, m.lastBytes
		m.last, m.lastBytes = now, current
	}
}

// rate returns bytes per second.
func (m *meter) rate(now time.Time, current int64) int64 {
	d := now.Sub(m.since).Seconds()
	if d <= 0 {
		return 0
	}
	return int64(float64(current-m.sinceBytes) / d)
}
