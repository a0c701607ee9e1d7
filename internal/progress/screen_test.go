package progress

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// screen is a small terminal: it understands what the TTY sink sends, fails the
// test on anything else, and shows what a user would see.
type screen struct {
	t             *testing.T
	mu            sync.Mutex
	width, height int
	rows          [][]rune // what scrolled away included
	top           int      // the first row that is still on the screen
	x, y          int      // the cursor; y counts from the first of rows
	hidden        bool
	noWrap        bool
	frames        int
}

func newScreen(t *testing.T, width, height int) *screen {
	return &screen{t: t, width: width, height: height, rows: [][]rune{{}}}
}

func (s *screen) size() (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width, s.height
}

// text returns all rows, the cursor's last one without its end.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(row), "\x00", ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// narrow makes the screen narrower and breaks its lines anew, as terminals do.
func (s *screen) narrow(width int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows [][]rune
	for i, row := range s.rows {
		if i == s.y {
			s.y = len(rows)
		}
		for len(row) > width {
			rows = append(rows, row[:width])
			row = row[width:]
		}
		rows = append(rows, row)
	}
	s.rows, s.width = rows, width
	s.top = max(0, len(rows)-s.height)
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames++
	for text := string(p); text != ""; {
		text = text[s.next(text):]
	}
	return len(p), nil
}

var control = regexp.MustCompile(`^\x1b\[([?0-9]*)([a-zA-Z])`)

// next does what the start of text says and returns how long it is.
func (s *screen) next(text string) int {
	if m := control.FindStringSubmatch(text); m != nil {
		s.control(m[1], m[2])
		return len(m[0])
	}
	r, size := utf8.DecodeRuneInString(text)
	switch r {
	case '\r':
		s.x = 0
	case '\n':
		s.y++
		if s.y == len(s.rows) {
			s.rows = append(s.rows, nil)
		}
		s.top = max(s.top, s.y-s.height+1)
	default:
		s.put(r)
	}
	return size
}

func (s *screen) put(r rune) {
	if r < ' ' || r == 0x7f {
		s.t.Errorf("control character %U was sent", r)
	}
	cells := runeWidth(r)
	if s.x+cells > s.width && !s.noWrap {
		s.next("\r")
		s.next("\n")
	}
	if s.x+cells > s.width {
		s.t.Errorf("a line is wider than the screen (%d cells): %q", s.width, string(s.rows[s.y])+string(r))
		return
	}
	row := s.rows[s.y]
	for len(row) < s.x+cells {
		row = append(row, ' ')
	}
	for i := range cells {
		row[s.x+i] = 0 // the other half of a wide character
	}
	if cells > 0 {
		row[s.x] = r
	}
	s.rows[s.y] = row
	s.x += cells
}

func (s *screen) control(parameter, final string) {
	switch parameter + final {
	case "?25l", "?25h":
		s.hidden = final == "l"
	case "?7l", "?7h":
		s.noWrap = final == "l"
	case "K":
		s.rows[s.y] = s.rows[s.y][:min(s.x, len(s.rows[s.y]))]
	case "J":
		s.rows[s.y] = s.rows[s.y][:min(s.x, len(s.rows[s.y]))]
		s.rows = s.rows[:s.y+1]
	default:
		switch final {
		case "A":
			n, err := strconv.Atoi(parameter)
			if err != nil || n < 1 {
				s.t.Errorf("the cursor was moved up by %q", parameter)
			}
			s.y = max(s.top, s.y-n)
		case "m": // colours
		default:
			s.t.Errorf("control sequence %q%q was sent", parameter, final)
		}
	}
}
