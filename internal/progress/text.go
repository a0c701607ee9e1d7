package progress

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// label is how a task is called in what people read: "[build 2/4] RUN make".
func label(t Task) string {
	name := oneLine(t.Name)
	switch {
	case t.Step > 0:
		return fmt.Sprintf("[%s %d/%d] %s", t.Stage, t.Step, t.Steps, name)
	case t.Stage != "":
		return fmt.Sprintf("[%s] %s", t.Stage, name)
	}
	return name
}

// oneLine returns the first line of s; here-documents have more.
func oneLine(s string) string {
	first, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if more {
		first = strings.TrimRight(first, " \r") + " ..."
	}
	return Clean(first)
}

// bytesText prints a size as docker does: three digits, powers of 1000.
func bytesText(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%dB", n)
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.5 && unit < len(units)-1 {
		size /= 1000
		unit++
	}
	switch {
	case size < 9.995:
		return fmt.Sprintf("%.2f%cB", size, units[unit])
	case size < 99.95:
		return fmt.Sprintf("%.1f%cB", size, units[unit])
	}
	return fmt.Sprintf("%.0f%cB", size, units[unit])
}

// amountText prints how much of how much is done; "" where nothing is known.
func amountText(current, total int64) string {
	switch {
	case total > 0 && current < total:
		return bytesText(current) + " / " + bytesText(total)
	case current > 0:
		return bytesText(current)
	}
	return ""
}

// elapsedText prints a duration for a reader who waits.
func elapsedText(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
}

// Clean returns s without what would do something to a terminal or a log
// instead of being read: escape sequences and control characters but for tabs.
// Bytes that are not UTF-8 become U+FFFD, as some terminals act on those, too.
// Output of a build is not trusted.
func Clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); {
		if n := escapeLen(s[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !isControl(r) {
			out.WriteString(s[i : i+size])
		}
		i += size
	}
	return out.String()
}

func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\t'
}

// escapeLen returns how long the escape sequence is that s starts with, 0 if it
// starts with none. A sequence that does not end takes all of s. The forms are
// those of ECMA-48: CSI (parameters, then a final byte), strings such as OSC
// (until BEL or ST), and two or three bytes for the rest.
func escapeLen(s string) int {
	if len(s) < 2 || s[0] != '\x1b' {
		return 0
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == '\a' {
				return i + 1
			}
			if s[i] == '\x1b' && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	i := 1
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f { // intermediate bytes
		i++
	}
	if i < len(s) && s[i] >= 0x30 && s[i] <= 0x7e { // the final one
		i++
	}
	return i
}

// runeWidth returns how many cells r takes on a terminal. In doubt it says
// more: a line that is too short does no harm.
func runeWidth(r rune) int {
	switch {
	case r == 0xFE0F: // asks for the emoji form, which is wide, of what is before it
		return 1
	case r < 0x300: // the common case: nothing wide or combining is down here
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// textWidth returns how many cells s takes; it holds no control characters.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// fit returns s cut to at most cells cells, with "..." at the end where
// something is missing and there is room to say it.
func fit(s string, cells int) string {
	if textWidth(s) <= cells {
		return s
	}
	const mark = "..."
	room, end := cells, ""
	if cells > 2*len(mark) {
		room, end = cells-len(mark), mark
	}
	used := 0
	for i, r := range s {
		used += runeWidth(r)
		if used > room {
			return s[:i] + end
		}
	}
	return s
}
