package conformance_test

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateReference = flag.Bool("update-reference", false, "let Docker and Buildah build the cases again, and write down what they make")

// TestReference lets the reference builders build the cases again.
func TestReference(t *testing.T) {
	if !*updateReference {
		t.Skip("the wanted images are recorded; -update-reference records them again")
	}
	s := newSuite(t)
	references := map[string]builder{"docker": startDocker(t), "buildah": &buildah{t.TempDir()}}
	for _, c := range s.cases {
		t.Run(c.theme+"/"+c.name, func(t *testing.T) {
			if c.has("written") {
				t.Skip("the wanted image is written by hand")
			}
			by := "docker"
			if c.has("buildah") {
				by = "buildah"
			}
			s.update(t, c, by, references[by])
		})
	}
}

// referenceNames say who made a wanted image, in its first line.
var referenceNames = map[string]string{
	"docker":  "# Docker 20.10 with BuildKit made this.",
	"buildah": "# Buildah 1.28 made this.",
}

// update writes down what a reference builder makes of a case.
func (s *suite) update(t *testing.T, c *testCase, by string, b builder) {
	got := s.try(t, c, b)
	switch {
	case got.fault != nil:
		t.Fatal(got.fault)
	case got.failed && !c.has("fails"):
		t.Fatalf("%s does not build it:\n%s", by, got.output)
	case !got.failed && c.has("fails"):
		t.Fatalf("%s builds it", by)
	case got.failed:
		got.record = "fails\n"
	}
	if err := c.save(referenceNames[by] + "\n" + modernise(c, got.record)); err != nil {
		t.Fatal(err)
	}
}

// modernise rewrites what Docker 20.10 records in another way than BuildKit
// does today, where the difference is one of form: the texts of the history, and
// the mount points that "stub" names, which are removed after a step today.
func modernise(c *testCase, record string) string {
	var lines []string
	for _, line := range strings.Split(record, "\n") {
		if c.isStub(line) {
			continue
		}
		if kind, text, is := historyLine(line); is {
			line = "\t" + kind + " " + quote(c.modernHistory(text))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// isStub reports whether a line is that of a directory made to mount on.
func (c *testCase) isStub(line string) bool {
	for _, cmd := range c.find("stub") {
		if slices.ContainsFunc(cmd.words[1:], func(path string) bool {
			return strings.HasPrefix(line, "\td ") && strings.HasSuffix(line, " "+path)
		}) {
			return true
		}
	}
	return false
}

// historyLine splits a line of the history.
func historyLine(line string) (kind, text string, is bool) {
	kind, text, _ = strings.Cut(strings.TrimPrefix(line, "\t"), " ")
	if line == "" || line[0] != '\t' || kind != "layer" && kind != "empty" {
		return "", "", false
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	return kind, text, true
}

// modernHistory is what BuildKit writes today for an instruction: what "newer"
// of the case says, EXPOSE and HEALTHCHECK in other words, and COPY and ADD with
// their --chown and --chmod.
func (c *testCase) modernHistory(text string) string {
	for _, cmd := range c.find("newer") {
		if cmd.arg(0) == text {
			return cmd.arg(1)
		}
	}
	switch {
	case strings.HasPrefix(text, "EXPOSE map["):
		return strings.NewReplacer("map[", "[", ":{}", "").Replace(text)
	case strings.HasPrefix(text, "HEALTHCHECK &{"):
		return modernHealthcheck(text)
	case strings.HasPrefix(text, "COPY ") || strings.HasPrefix(text, "ADD "):
		return c.modernCopy(text)
	}
	return text
}

// modernCopy puts the flags back that an instruction of the Dockerfile has
// which is the same without them.
func (c *testCase) modernCopy(text string) string {
	for _, f := range c.files {
		if !isDockerfile(f.Name) {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			words := strings.Fields(line)
			var flags, rest []string
			for _, word := range words {
				switch {
				case strings.HasPrefix(word, "--chown=") || strings.HasPrefix(word, "--chmod="):
					flags = append(flags, word)
				case !strings.HasPrefix(word, "--"):
					rest = append(rest, word)
				}
			}
			slices.SortFunc(flags, func(a, b string) int { return strings.Compare(b, a) }) // --chown first
			if len(flags) > 0 && strings.Join(rest, " ")+" # buildkit" == text {
				return strings.Join(slices.Concat(rest[:1], flags, rest[1:]), " ") + " # buildkit"
			}
		}
	}
	return text
}

// healthParts are the test, interval, timeout, start period and, as a character,
// the retries.
var healthParts = regexp.MustCompile(`^HEALTHCHECK &\{\[(.*)\] "([^"]*)" "([^"]*)" "([^"]*)" ('.*')\}$`)

// modernHealthcheck makes the text of a health check, a %q of a pointer to a
// struct, that of a %+v of a struct with a field more.
func modernHealthcheck(text string) string {
	parts := healthParts.FindStringSubmatch(text)
	if parts == nil {
		return text
	}
	test, err := splitWords(parts[1])
	if err != nil {
		return text
	}
	retries, err := strconv.Unquote(parts[5])
	if err != nil {
		return text
	}
	return fmt.Sprintf("HEALTHCHECK {Test:[%s] Interval:%s Timeout:%s StartPeriod:%s StartInterval:0s Retries:%d}",
		strings.Join(test, " "), parts[2], parts[3], parts[4], []rune(retries)[0])
}
