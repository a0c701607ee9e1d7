package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// docsHost is the registry that the documentation speaks of; the tests have one
// of their own in its place.
const docsHost = "registry.example.com"

// TestDocs runs the commands of the documentation and compares what they print.
// They are in fenced blocks of the language "console":
//
//	$ command        run by sh, must succeed
//	> more of it
//	output           what it prints to stdout and stderr; "..." is anything, a
//	                 line of "..." any number of lines; none at all is not compared
//
// The commands of a page run one after the other in a directory with a small
// Dockerfile.
func TestDocs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages = append(pages, "../../README.md")
	host := testenv.Registry(t).Addr
	for _, page := range pages {
		t.Run(strings.TrimPrefix(page, "../../"), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			dir := dirWith(t, "FROM scratch\nCOPY hello.txt /\n")
			if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, c := range commandsOf(string(text)) {
				c.check(t, dir, host)
			}
		})
	}
}

// docCommand is a command of the documentation.
type docCommand struct {
	line    int
	command string
	output  string
}

// commandsOf returns the commands of a page in Markdown.
func commandsOf(page string) []docCommand {
	var commands []docCommand
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			commands = append(commands, docCommand{line: i + 1, command: line[2:]})
		case len(commands) > 0:
			last := &commands[len(commands)-1]
			if more, is := strings.CutPrefix(line, "> "); is && last.output == "" {
				last.command += "\n" + more
			} else {
				last.output += line + "\n"
			}
		}
	}
	return commands
}

func (c docCommand) check(t *testing.T, dir, host string) {
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(c.command, docsHost, host))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "..", "home"))
	out, err := cmd.CombinedOutput()
	said := strings.ReplaceAll(string(out), host, docsHost)
	if err != nil {
		t.Errorf("line %d: %s: %v\n%s", c.line, c.command, err, said)
		return
	}
	if c.output != "" && !c.pattern().MatchString(said) {
		t.Errorf("line %d: %s printed\n%s\nwhere the page says\n%s", c.line, c.command, said, c.output)
	}
}

// pattern matches what the page says is printed.
func (c docCommand) pattern() *regexp.Regexp {
	var p strings.Builder
	for line := range strings.Lines(c.output) {
		if line == "...\n" {
			p.WriteString(`(.*\n)*?`)
			continue
		}
		p.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`))
	}
	return regexp.MustCompile(fmt.Sprintf("^%s$", &p))
}

func TestDocCommands(t *testing.T) {
	const page = "text\n```console\n$ a\n...\nx ...!\n$ b \\\n> c\n```\n```sh\n$ not this\n```\n"
	got := commandsOf(page)
	want := []docCommand{{3, "a", "...\nx ...!\n"}, {6, "b \\\nc", ""}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("commands %v, want %v", got, want)
	}
	for output, matches := range map[string]bool{
		"x y!\n": true, "one\ntwo\nx !\n": true, "x y\n": false, "x y!\nz\n": false,
	} {
		if got[0].pattern().MatchString(output) != matches {
			t.Errorf("%q matches: %v, want %v", output, !matches, matches)
		}
	}
}
