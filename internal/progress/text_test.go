package progress

import (
	"testing"
	"time"
	"unicode/utf8"
)

func TestCleanTakesOutWhatActs(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text", "grüße, 世界\tok", "grüße, 世界\tok"},
		{"colours", "\x1b[1;31merror\x1b[0m: no", "error: no"},
		{"a cleared screen", "\x1b[2J\x1b[Hgone", "gone"},
		{"a window title, ended by BEL", "\x1b]0;title\atext", "text"},
		{"a link, ended by ST", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"a device control string", "\x1bPq#0\x1b\\x", "x"},
		{"a character set", "\x1b(Bx", "x"},
		{"a short sequence", "\x1b7x\x1b8", "x"},
		{"a sequence that does not end", "x\x1b[31", "x"},
		{"an escape at the end", "x\x1b", "x"},
		{"the one-byte introducer", "a\u009b31mb", "a31mb"},
		{"bytes that are not UTF-8", "a\x9b31mb", "a\uFFFD31mb"},
		{"bells and backspaces", "a\ab\bc\x00", "abc"},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;t\a\x1b")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if isControl(r) {
				t.Fatalf("Clean(%q) = %q has %U", s, got, r)
			}
		}
		if !utf8.ValidString(got) {
			t.Fatalf("Clean(%q) = %q is not UTF-8", s, got)
		}
	})
}

func TestWidthsAreCountedInCells(t *testing.T) {
	for s, want := range map[string]int{
		"":             0,
		"abc":          3,
		"über":         4,
		"u\u0308":      1, // a letter and a combining mark
		"世界":           4,
		"ｆｕｌｌ":         8,
		"🚀":            2,
		"a\u200bb":     2, // a space of no width
		"✓ ok":         4,
		"❤\ufe0f":      2, // a narrow heart made an emoji
		"\u0e01\u0e34": 1, // Thai, with a vowel above
	} {
		if got := textWidth(s); got != want {
			t.Errorf("textWidth(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestFitCutsAtCells(t *testing.T) {
	for _, c := range []struct {
		in    string
		cells int
		want  string
	}{
		{"hello", 5, "hello"},
		{"hello world", 8, "hello..."},
		{"世界世界世界", 8, "世界..."}, // half a character is none
		{"hello", 3, "hel"},    // no room to say that something is missing
		{"世界", 3, "世"},
		{"hello", 0, ""},
	} {
		if got := fit(c.in, c.cells); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.in, c.cells, got, c.want)
		}
	}
}

func TestSizesHaveThreeDigits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 999: "999B", 1000: "1.00kB", 9994: "9.99kB", 9996: "10.0kB", 99_960: "100kB",
		999_499: "999kB", 999_500: "1.00MB", 45_600_000: "45.6MB", 5 << 30: "5.37GB",
		1<<63 - 1: "9.22EB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestElapsedTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 1234 * time.Millisecond: "1.2s", 59900 * time.Millisecond: "59.9s",
		time.Minute: "1m00s", 83 * time.Second: "1m23s", time.Hour + 61*time.Second: "1h01m01s",
	} {
		if got := elapsedText(d); got != want {
			t.Errorf("elapsedText(%v) = %q, want %q", d, got, want)
		}
	}
}
