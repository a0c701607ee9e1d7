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
// does today, where the difference is one of form: the texts of EXPOSE and
// HEALTHCHECK in the history, what "newer" of a case says, and the mount points
// that "stub" names, which are removed after a step today.
func modernise(c *testCase, record string) string {
	var lines []string
	for _, line := range strings.Split(record, "\n") {
		if c.isStub(line) {
			continue
		}
		line = exposeText.ReplaceAllStringFunc(line, modernExpose)
		line = healthText.ReplaceAllStringFunc(line, modernHealthcheck)
		for _, cmd := range c.find("newer") {
			if rest, is := strings.CutPrefix(line, "\tempty "+cmd.arg(0)); is && rest == "" {
				line = "\tempty " + cmd.arg(1)
			}
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

var (
	exposeText = regexp.MustCompile(`EXPOSE map\[.*\]$`)
	// healthParts are the test, interval, timeout, start period and, as a
	// character, the retries.
	healthParts = regexp.MustCompile(`^HEALTHCHECK &\{\[(.*)\] "([^"]*)" "([^"]*)" "([^"]*)" ('.*')\}$`)
	healthText  = regexp.MustCompile(`"HEALTHCHECK &\{.*\}"$`)
)

// modernExpose makes EXPOSE [80/tcp 81/tcp] of EXPOSE map[80/tcp:{} 81/tcp:{}].
func modernExpose(text string) string {
	return strings.NewReplacer("map[", "[", ":{}", "").Replace(text)
}

// modernHealthcheck makes the text of a health check, a %q of a pointer to a
// struct, that of a %+v of a struct with a field more.
func modernHealthcheck(text string) string {
	unquoted, err := strconv.Unquote(text)
	if err != nil {
		return text
	}
	parts := healthParts.FindStringSubmatch(unquoted)
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
	return quote(fmt.Sprintf("HEALTHCHECK {Test:[%s] Interval:%s Timeout:%s StartPeriod:%s StartInterval:0s Retries:%d}",
		strings.Join(test, " "), parts[2], parts[3], parts[4], []rune(retries)[0]))
}
