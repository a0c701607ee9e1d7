package progress

import (
	"errors"
	"slices"
	"strings"
)

// minSecret is how long a secret has to be for its value to be hidden. Shorter
// ones are found in any text, and hiding them there would say what they are.
const minSecret = 4

// masked is what is shown in place of a secret.
const masked = "***"

// Mask hides known values, secrets of the build, in what is shown.
type Mask struct {
	values   []string // longest first
	replacer *strings.Replacer
}

// NewMask returns a mask of secrets. Each line of a secret is hidden by itself,
// as output comes in lines; lines of less than four bytes are not hidden.
func NewMask(secrets ...string) *Mask {
	m := &Mask{}
	for _, secret := range secrets {
		for line := range strings.Lines(secret) {
			if line = strings.TrimRight(line, "\r\n"); len(line) >= minSecret {
				m.values = append(m.values, line)
			}
		}
	}
	// A replacer takes the first value that matches: of two that start alike
	// it has to see the longer one first.
	slices.SortFunc(m.values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range m.values {
		pairs = append(pairs, v, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
	return m
}

// Text returns s with the secrets hidden.
func (m *Mask) Text(s string) string {
	if len(m.values) == 0 {
		return s
	}
	s = m.replacer.Replace(s)
	if i := strings.LastIndex(s, cutMark); i >= 0 {
		s = m.hideStart(s[:i]) + s[i:]
	}
	return s
}

// hideStart hides the start of a secret that line, which was cut, ends in.
func (m *Mask) hideStart(line string) string {
	for _, v := range m.values {
		for n := len(v) - 1; n >= minSecret; n-- {
			if strings.HasSuffix(line, v[:n]) {
				return line[:len(line)-n] + masked
			}
		}
	}
	return line
}

// Sink returns a sink that hides the secrets from next.
func (m *Mask) Sink(next Sink) Sink {
	return &maskSink{mask: m, next: next}
}

type maskSink struct {
	mask *Mask
	next Sink
}

func (s *maskSink) Emit(e Event) {
	e.Line = s.mask.Text(e.Line)
	e.Info.Name = s.mask.Text(e.Info.Name)
	if e.Err != nil {
		if text := e.Err.Error(); s.mask.Text(text) != text {
			e.Err = errors.New(s.mask.Text(text))
		}
	}
	s.next.Emit(e)
}
