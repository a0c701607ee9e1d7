package conformance_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var conformance = flag.Bool("conformance", false, "build all cases with kiln and compare")

// TestConformance builds all cases with kiln and compares.
func TestConformance(t *testing.T) {
	if !*conformance {
		t.Skip("it takes minutes: make conformance, or -conformance")
	}
	s := newSuite(t)
	engines := kilnEngines(t)
	table := newTable(engines)
	t.Cleanup(func() { table.print(os.Stdout) })
	for _, c := range s.cases {
		t.Run(c.theme+"/"+c.name, func(t *testing.T) {
			if c.want == "" {
				t.Fatal("there is no wanted image yet: write @want, or record it with -update-reference")
			}
			for _, e := range engines {
				t.Run(e.name, func(t *testing.T) {
					result := s.compare(t, c, e)
					table.add(c.theme, e.name, result)
				})
			}
		})
	}
}

// A suite is all there is to build.
type suite struct {
	cases    []*testCase
	registry *baseRegistry
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	return &suite{cases: loadCases(t), registry: startRegistry(t)}
}

// An outcome is what came of building a case.
type outcome struct {
	output string
	record string
	failed bool // the builder says so
	// fault is what is wrong with the test or with the image that was made.
	fault error
}

// try builds a case with one builder.
func (s *suite) try(t *testing.T, c *testCase, b builder) outcome {
	t.Helper()
	k, isKiln := b.(*kiln)
	var owner *syscall.Credential
	if isKiln {
		owner = k.user
	}
	j, bases, err := s.prepare(t, c, owner)
	if err != nil {
		return outcome{fault: err}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	output, err := b.build(ctx, j)
	_, absent := os.Stat(j.archive)
	switch {
	case ctx.Err() != nil:
		return outcome{output: output, failed: true, fault: fmt.Errorf("it takes longer than %s: %w", patience, ctx.Err())}
	case err != nil && absent == nil:
		return outcome{output: output, failed: true, fault: errors.New("the build failed and left an image")}
	case err != nil:
		return outcome{output: output + "\n" + err.Error(), failed: true}
	}
	img, err := readImage(j.archive)
	if err != nil {
		return outcome{output: output, fault: err}
	}
	size := sizeOfBase(img, bases)
	record, err := record(c, img, j.names.toInvented, size)
	if err != nil {
		return outcome{output: output, fault: err}
	}
	if isKiln {
		err = checkForm(img, size.layers)
	}
	return outcome{output: output, record: record, fault: err}
}

// prepare lays a case out on disk, and starts what it needs.
func (s *suite) prepare(t *testing.T, c *testCase, owner *syscall.Credential) (*job, []v1.Image, error) {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil { // for builders that another user runs
			return nil, nil, err
		}
	}
	space := filepath.Join(dir, "space")
	names := newNames(c, s.registry.host, startFiles(t, c, space))
	im := &images{host: s.registry.host, repo: ownRepository(c)}
	layouts, err := im.provide(c, s.registry.base, s.registry.bare, dir)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWorkspace(c, space, names.toReal, owner)
	if err != nil {
		return nil, nil, err
	}
	if err := makeRepositories(w); err != nil {
		return nil, nil, err
	}
	if c.has("ssh") {
		startAgent(t, filepath.Join(space, "agent"))
	}
	result := filepath.Join(dir, "result")
	if err := os.Mkdir(result, 0o777); err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(result, 0o777); err != nil {
		return nil, nil, err
	}
	var bases []v1.Image
	for _, img := range im.made {
		bases = append(bases, img)
	}
	return &job{
		testCase: c, space: w, names: names, registry: s.registry.host, layouts: layouts,
		archive: filepath.Join(result, "image.tar"),
	}, bases, nil
}

// sizeOfBase finds out which base an image is made from, by its first layers:
// the largest that fits is it.
func sizeOfBase(img *image, bases []v1.Image) baseSize {
	var size baseSize
	for _, base := range bases {
		config, err := base.ConfigFile()
		if err != nil {
			continue
		}
		n := len(config.RootFS.DiffIDs)
		if n <= size.layers || n > len(img.layers) {
			continue
		}
		if isBase(img, config) {
			size = baseSize{layers: n, history: len(config.History)}
		}
	}
	return size
}

// isBase reports whether an image starts with the layers and the history of
// another.
func isBase(img *image, base *v1.ConfigFile) bool {
	for i, id := range base.RootFS.DiffIDs {
		if id.String() != img.layers[i].diffID {
			return false
		}
	}
	for i, h := range base.History {
		if i >= len(img.config.History) || h.CreatedBy != img.config.History[i].CreatedBy {
			return false
		}
	}
	return true
}

// A verdict is one cell of the table.
type verdict string

const (
	equal     verdict = "equal"
	different verdict = "different"
	notBuilt  verdict = "not built"
	notHere   verdict = "skipped"
)

// compare builds a case with kiln and holds it against the wanted image.
func (s *suite) compare(t *testing.T, c *testCase, e engine) verdict {
	for _, cmd := range c.find("not") {
		if slices.Contains(strings.Split(e.name, "-"), cmd.arg(0)) {
			t.Logf("%s cannot: %s", e.name, cmd.text)
			return notHere
		}
	}
	got := s.try(t, c, e.builder)
	if got.fault != nil {
		t.Errorf("%v\n\n%s", got.fault, got.output)
		return different
	}
	if !speaks(t, c, got.output) {
		return different
	}
	if c.has("fails") {
		return judgeFailure(t, c, got)
	}
	if got.failed {
		t.Errorf("kiln does not build it:\n%s", got.output)
		return notBuilt
	}
	if diff := diffLines(recordLines(c.want), recordLines(got.record)); diff != "" {
		t.Errorf("the image is another one (- wanted, + made):\n%s", diff)
		return different
	}
	return equal
}

// diffLines shows how two lists of lines differ, "" if they do not.
func diffLines(want, got []string) string {
	// common[i][j] is how many lines want[i:] and got[j:] have in common.
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	if common[0][0] == len(want) && len(want) == len(got) {
		return ""
	}
	var b strings.Builder
	for i, j := 0, 0; i < len(want) || j < len(got); {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			fmt.Fprintf(&b, "  %s\n", want[i])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&b, "- %s\n", want[i])
			i++
		default:
			fmt.Fprintf(&b, "+ %s\n", got[j])
			j++
		}
	}
	return b.String()
}

// recordLines splits a record, leaving comments out.
func recordLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

// speaks holds what was printed against what the case says of it.
func speaks(t *testing.T, c *testCase, output string) bool {
	t.Helper()
	ok := true
	for _, cmd := range c.find("says") {
		if !strings.Contains(output, cmd.text) {
			t.Errorf("the output lacks %q:\n%s", cmd.text, output)
			ok = false
		}
	}
	for _, cmd := range c.find("hides") {
		if strings.Contains(output, cmd.text) {
			t.Errorf("the output shows %q:\n%s", cmd.text, output)
			ok = false
		}
	}
	return ok
}

// classes are the ways in which a Dockerfile can fail: what the message must
// say, in any words.
var classes = map[string]*regexp.Regexp{
	"syntax":      regexp.MustCompile(`(?i)parse|syntax|comes before|expecting|duplicate|checks failed|greater than|unknown|unexpected|unterminated|not allowed|isn't allowed|requires|must|missing|invalid|empty|no |bad|exactly|unsupported|without|can't|cannot`),
	"missing":     regexp.MustCompile(`(?i)too many levels|not found|no such file|not exist|no match|matches nothing|missing|no file|not in`),
	"conflict":    regexp.MustCompile(`(?i)director|EOF|replace`),
	"exit":        regexp.MustCompile(`(?i)exit (code|status)|exited|status \d+|signal|killed`),
	"user":        regexp.MustCompile(`(?i)user|group|passwd|uid`),
	"stage":       regexp.MustCompile(`(?i)stage|target|image|cycl|circular|itself`),
	"base":        regexp.MustCompile(`(?i)does not contain|not found|no such|unknown|manifest|does not exist|platform|pull|image|refused`),
	"variable":    regexp.MustCompile(`(?i)substitution|variable|set|expan|modifier|required|must`),
	"value":       regexp.MustCompile(`(?i)leads out|wrong way|illegal|breakout|outside|invalid|not a|must|unknown|malformed|bad|out of range|empty|octal|not valid|blank`),
	"checksum":    regexp.MustCompile(`(?i)checksum|digest`),
	"secret":      regexp.MustCompile(`(?i)secret`),
	"ssh":         regexp.MustCompile(`(?i)ssh|agent`),
	"unsupported": regexp.MustCompile(`(?i)does not|not support|cannot|needs|requires|not allowed|refus`),
	"fetch":       regexp.MustCompile(`(?i)404|not found|status|fetch|download|get `),
}

// judgeFailure holds a failure against the one that is wanted.
func judgeFailure(t *testing.T, c *testCase, got outcome) verdict {
	t.Helper()
	wanted := c.find("fails")[0]
	line, class := wanted.arg(0), classes[wanted.arg(1)]
	switch {
	case class == nil:
		t.Fatalf("%q is no class of failures", wanted.arg(1))
	case !got.failed:
		t.Errorf("kiln builds it, and should not:\n%s", got.record)
		return different
	case !class.MatchString(got.output):
		t.Errorf("the message does not say what is wrong (%s):\n%s", wanted.arg(1), got.output)
		return different
	}
	if place := regexp.MustCompile(`ockerfile:` + line + `\b`); line != "0" && !place.MatchString(got.output) {
		t.Errorf("the message does not point at line %s:\n%s", line, got.output)
		return different
	}
	return equal
}
