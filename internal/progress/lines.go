package progress

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxLine is where lines of output are cut, in bytes. What is longer is not
// meant for readers, and a process that never ends its line must not fill the
// memory.
const maxLine = 4096

// LineWriter is an io.WriteCloser that emits what a process writes as lines of
// its task. Close emits a last line that was not ended. It is not safe for
// concurrent use: each stream of a process has its own.
//
// A line ends in "\n" or "\r\n". A carriage return in a line starts it again, as
// on a terminal, which is how progress bars are drawn; only what remains is
// output. Lines are cut at 4 KiB, with a note of how much is missing; bytes that
// are not UTF-8 are replaced by U+FFFD.
type LineWriter struct {
	task    *Running
	tail    *Tail
	line    []byte
	missing int  // bytes of the line that did not fit
	restart bool // a carriage return was seen; more text starts the line again
}

// Writer returns a writer whose lines are output of the task. They are kept in
// tail, too, unless it is nil.
func (t *Running) Writer(tail *Tail) *LineWriter {
	return &LineWriter{task: t, tail: tail}
}

// Write emits the lines that p completes. It never fails.
func (w *LineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			w.add(p)
			return n, nil
		}
		w.add(p[:i])
		if p[i] == '\n' {
			w.end()
		} else {
			w.restart = true
		}
		p = p[i+1:]
	}
}

// Close emits the line that was not ended, if there is one. It never fails.
func (w *LineWriter) Close() error {
	if len(w.line) > 0 {
		w.end()
	}
	return nil
}

func (w *LineWriter) add(text []byte) {
	if len(text) == 0 {
		return
	}
	if w.restart {
		w.task.r.emit(Event{Kind: Overwritten, Task: w.task.n, Line: w.text()})
		w.reset()
	}
	fits := min(len(text), maxLine-len(w.line))
	w.line = append(w.line, text[:fits]...)
	w.missing += len(text) - fits
}

func (w *LineWriter) end() {
	line := w.text()
	w.reset()
	if w.tail != nil {
		w.tail.Add(line)
	}
	w.task.Print(line)
}

func (w *LineWriter) reset() {
	w.line, w.missing, w.restart = w.line[:0], 0, false
}

func (w *LineWriter) text() string {
	line := w.line
	if w.missing == 0 {
		return strings.ToValidUTF8(string(line), "\uFFFD")
	}
	return strings.ToValidUTF8(string(wholeRunes(line)), "\uFFFD") + cutNote(w.missing)
}

// cutNote ends a line that was cut.
func cutNote(missing int) string {
	return fmt.Sprintf("%s%d bytes not shown]", cutMark, missing)
}

// cutMark is how the note starts; Mask looks for it.
const cutMark = "... ["

// wholeRunes returns line without a character that was cut in its middle.
func wholeRunes(line []byte) []byte {
	for end := len(line); end > 0 && end > len(line)-utf8.UTFMax; end-- {
		if utf8.RuneStart(line[end-1]) {
			if !utf8.FullRune(line[end-1:]) {
				return line[:end-1]
			}
			break
		}
	}
	return line
}
