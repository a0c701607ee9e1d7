package progress

import (
	"fmt"
	"strings"
)

// painter turns lines into what a terminal has to be sent. Between frames the
// cursor is in the first column below the last live line.
type painter struct {
	color  bool
	drawn  []int // the widths of the live lines on the screen
	hidden bool  // the cursor is hidden
}

// Control sequences of ECMA-48 and DEC private modes.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	noWrap     = "\x1b[?7l"
	wrap       = "\x1b[?7h"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

// frame returns what turns the last frame into one with the lines above for
// good, and the lines live below them; "" if there is nothing to do.
func (p *painter) frame(above, live []line, width, height int, hide bool) string {
	if len(above) == 0 && len(live) == 0 && len(p.drawn) == 0 {
		return ""
	}
	var out strings.Builder
	if hide && !p.hidden {
		p.hidden = true
		out.WriteString(hideCursor)
	}
	out.WriteString(noWrap) // a width that we get wrong must not break lines
	if up := min(p.rows(width), height-1); up > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", up)
	}
	out.WriteString("\r")
	for _, l := range above {
		text := p.render(l, width)
		if l.whole {
			text = wrap + text + noWrap
		}
		out.WriteString(text + clearLine + "\r\n")
	}
	p.drawn = p.drawn[:0]
	for _, l := range live {
		text := p.render(l, width)
		p.drawn = append(p.drawn, textWidth(Clean(text)))
		out.WriteString(text + clearLine + "\r\n")
	}
	out.WriteString(clearBelow + wrap)
	return out.String()
}

// rows returns how many rows the live lines of the last frame take: terminals
// break lines anew when they get narrower.
func (p *painter) rows(width int) int {
	n := 0
	for _, w := range p.drawn {
		n += max(1, (w+width-1)/width)
	}
	return n
}

func (p *painter) showCursor() string {
	if !p.hidden {
		return ""
	}
	p.hidden = false
	return showCursor
}

// The least room for the parts of a line, in cells. Where there is less for the
// text, what is at the right margin goes; a note that would be cut to less goes.
const (
	minText = 12
	minNote = 8
)

// render lays a line out: mark, text, note, and what is at the right margin.
// The last column stays free.
func (p *painter) render(l line, width int) string {
	text, note, right := spaced(l.text), spaced(l.note), l.right
	if l.whole {
		return p.paint(markCode(l.tone), l.mark) + " " + text
	}
	room := width - 1 - textWidth(l.mark) - 1
	if right != "" && room-textWidth(right)-gap < minText {
		right = ""
	}
	if right != "" {
		room -= textWidth(right) + gap
	}
	// A note takes at most half of the room away from the text.
	forNote := min(textWidth(note)+gap, room/2)
	if note == "" || forNote-gap < min(textWidth(note), minNote) {
		forNote, note = 0, ""
	}
	text = fit(text, max(0, room-forNote))
	rest := room - textWidth(text)
	out := p.paint(markCode(l.tone), l.mark) + " " + p.paint(textCode(l.tone), text)
	if note != "" {
		note = fit(note, rest-gap)
		rest -= gap + textWidth(note)
		out += strings.Repeat(" ", gap) + p.paint(faint, note)
	}
	if right != "" {
		out += strings.Repeat(" ", rest+gap) + right
	}
	return out
}

// gap is how many cells are free between the parts of a line.
const gap = 2

// spaced returns s with tabs as spaces: how wide a tab is depends on where it
// stands.
func spaced(s string) string { return strings.ReplaceAll(s, "\t", " ") }

// Parameters of SGR.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func markCode(t tone) string {
	switch t {
	case toneGood:
		return green
	case toneBad:
		return red
	case toneWarn:
		return yellow
	}
	return bold
}

func textCode(t tone) string {
	if t == toneBad {
		return red
	}
	return ""
}

func (p *painter) paint(code, s string) string {
	if !p.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[m"
}
