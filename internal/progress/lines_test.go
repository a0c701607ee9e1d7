package progress

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// split returns the lines that a task says when its process writes text.
func split(text string, write func(w *LineWriter, text string)) (lines, overwritten []string) {
	sink := &recorder{}
	w := NewReporter(sink).Start(Task{}).Writer(nil)
	write(w, text)
	w.Close()
	return sink.lines(Output), sink.lines(Overwritten)
}

func atOnce(w *LineWriter, text string) { w.Write([]byte(text)) }

func byteByByte(w *LineWriter, text string) {
	for i := range len(text) {
		w.Write([]byte{text[i]})
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name, in    string
		want        []string
		overwritten []string
	}{
		{name: "nothing", in: ""},
		{name: "lines", in: "a\nb\n", want: []string{"a", "b"}},
		{name: "an empty line", in: "a\n\nb\n", want: []string{"a", "", "b"}},
		{name: "a last line without its end", in: "a\nb", want: []string{"a", "b"}},
		{name: "lines of Windows", in: "a\r\nb\r\n", want: []string{"a", "b"}},
		{name: "a progress bar", in: "10%\r50%\r100%\ndone\n", want: []string{"100%", "done"}, overwritten: []string{"10%", "50%"}},
		{name: "a progress bar that starts with its return", in: "\r10%\r100%\n", want: []string{"100%"}, overwritten: []string{"", "10%"}},
		{name: "a progress bar that never ends its line", in: "10%\r100%\r", want: []string{"100%"}, overwritten: []string{"10%"}},
		{name: "invalid UTF-8", in: "a\xff\xfeb\n", want: []string{"a\uFFFDb"}},
		{name: "a character cut by the end", in: "caf\xc3", want: []string{"caf\uFFFD"}},
		{name: "a long line", in: long + "\n", want: []string{long}},
		{name: "a line that is too long", in: long + "yz\nnext\n", want: []string{long + "... [2 bytes not shown]", "next"}},
		{name: "a character at the cut", in: long[1:] + "é\n", want: []string{long[1:] + "... [1 bytes not shown]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, write := range []func(*LineWriter, string){atOnce, byteByByte} {
				lines, overwritten := split(c.in, write)
				if !slices.Equal(lines, c.want) {
					t.Errorf("lines %q, want %q", lines, c.want)
				}
				if !slices.Equal(overwritten, c.overwritten) {
					t.Errorf("overwritten %q, want %q", overwritten, c.overwritten)
				}
			}
		})
	}
}

func TestOutputIsKeptInTheTail(t *testing.T) {
	tail := NewTail(2)
	w := Discard().Start(Task{}).Writer(tail)
	w.Write([]byte("a\nb\nc"))
	w.Close()
	if got, want := tail.Lines(), []string{"b", "c"}; !slices.Equal(got, want) {
		t.Errorf("tail %q, want %q", got, want)
	}
}

func TestTail(t *testing.T) {
	tail := NewTail(3)
	for n, want := range [][]string{{"0"}, {"0", "1"}, {"0", "1", "2"}, {"1", "2", "3"}, {"2", "3", "4"}} {
		tail.Add(string(rune('0' + n)))
		if got := tail.Lines(); !slices.Equal(got, want) {
			t.Errorf("after %d lines: %q, want %q", n+1, got, want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\rc\n\xffd", uint16(3))
	f.Add(strings.Repeat("é", maxLine), uint16(4095))
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		lines, _ := split(text, atOnce)
		cut := min(int(at), len(text))
		again, _ := split(text, func(w *LineWriter, text string) {
			w.Write([]byte(text[:cut]))
			w.Write([]byte(text[cut:]))
		})
		if !slices.Equal(lines, again) {
			t.Fatalf("written at once: %q; cut at %d: %q", lines, cut, again)
		}
		for _, line := range lines {
			if !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") || len(line) > 3*maxLine+64 {
				t.Fatalf("bad line %q", line)
			}
		}
	})
}
