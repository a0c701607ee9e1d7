package plan

import (
	"fmt"
	"io"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
)

// Print writes p for people: the stages and their steps, each with its line in
// the Dockerfile, the beginning of its key, and what it reads from elsewhere.
// note, if it is not nil, adds what is known of a step besides. Equal plans are
// printed alike.
func (p *Plan) Print(w io.Writer, note func(*Step) string) error {
	var b strings.Builder
	for i, s := range p.Stages {
		if i > 0 {
			b.WriteString("\n")
		}
		result := ""
		if s == p.Target {
			result = ", the result"
		}
		fmt.Fprintf(&b, "stage %s, %s%s\n", s.Title(), platforms.Format(s.Platform), result)
		s.print(&b, note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Stage) print(b *strings.Builder, note func(*Step) string) {
	printLine(b, s.At.Start, s.Key, "FROM "+s.Base.title())
	for _, step := range s.Steps {
		text := firstLine(step.Text)
		if note != nil {
			if known := note(step); known != "" {
				text += "  (" + known + ")"
			}
		}
		key := step.Key
		if _, meta := step.Op.(Meta); meta {
			key = "" // it has none of its own
		}
		printLine(b, step.At.Start, key, text)
		for _, line := range details(step.Op) {
			fmt.Fprintf(b, "%24s%s\n", "", line)
		}
	}
}

// printLine writes a step with its line in the Dockerfile and the beginning of
// its key.
func printLine(b *strings.Builder, line int, key digest.Digest, text string) {
	short := ""
	if key != "" {
		short = key.Encoded()[:12]
	}
	fmt.Fprintf(b, "%5d  %-12s  %s\n", line, short, text)
}

func firstLine(text string) string {
	first, _, more := strings.Cut(text, "\n")
	if more {
		first += " ..."
	}
	return first
}

// Title is what messages call the stage: its name or, without one, its number.
func (s *Stage) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprint(s.Index)
}

func (b Base) title() string {
	switch {
	case b.Stage != nil:
		return b.Stage.Title()
	case b.Image != nil:
		return b.Image.Name
	}
	return "scratch"
}

// details says what a step reads from elsewhere, and whatever else its text does
// not show.
func details(op Op) []string {
	switch op := op.(type) {
	case *Run:
		return op.details()
	case *Copy:
		if from := op.From.title(); from != "" {
			return []string{"from " + from}
		}
	}
	return nil
}

func (r *Run) details() []string {
	var lines []string
	for _, m := range r.Mounts {
		line := m.Type
		if m.ID != "" {
			line += " " + m.ID
		}
		if m.Type == "bind" || m.From != (Origin{}) {
			from := m.From.title()
			if from == "" {
				from = "the context"
			}
			line += fmt.Sprintf(" /%s of %s", m.Source, from)
		}
		if m.Target != "" {
			line += " at " + m.Target
		}
		if m.Env != "" {
			line += " in $" + m.Env
		}
		lines = append(lines, line)
	}
	if r.Network != "" && r.Network != "default" {
		lines = append(lines, "network "+r.Network)
	}
	if r.Insecure {
		lines = append(lines, "with all privileges")
	}
	for _, d := range r.Devices {
		lines = append(lines, "device "+d.Name)
	}
	return lines
}

// title names an origin, "" for the build's own source tree.
func (o Origin) title() string {
	switch {
	case o.Stage != nil:
		return "stage " + o.Stage.Title()
	case o.Image != nil:
		return "image " + o.Image.Name
	case o.Context != "":
		return "context " + o.Context
	}
	return ""
}
