package conformance_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// A testCase is one file below testdata. doc.go describes its language.
type testCase struct {
	theme, name string
	file        string // path of the .txtar

	// commands are those of the preamble, in order.
	commands []command
	// files are the archive's, without @want.
	files []txtar.File
	// want is the text of @want, "" where nothing is recorded yet.
	want string
}

// A command is one line of a preamble and the lines indented below it.
type command struct {
	words []string
	text  string // what follows the first word, as it is written
	body  []command
	line  int
}

func (c command) name() string { return c.words[0] }

// arg is the i-th argument, "" where there is none.
func (c command) arg(i int) string {
	if i+1 < len(c.words) {
		return c.words[i+1]
	}
	return ""
}

// commandNames are the commands of preambles, as doc.go lists them.
var commandNames = strings.Fields(`written newer stub buildah fails says hides layers dirtimes not
	arg env target platform flag secret ssh dockerfile stdin context named
	file base64 mkdir link symlink fifo socket char chmod chown xattr capability mtime size many repeat crlf bom chop archive serve
	image index layout`)

// wantFile names the section that holds the wanted image.
const wantFile = "@want"

// loadCases reads all cases, sorted by theme and name.
func loadCases(tb testing.TB) []*testCase {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(paths)
	var cases []*testCase
	for _, path := range paths {
		c, err := loadCase(path)
		if err != nil {
			tb.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

func loadCase(path string) (*testCase, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	archive := txtar.Parse(data)
	c := &testCase{
		theme: filepath.Base(filepath.Dir(path)),
		name:  strings.TrimSuffix(filepath.Base(path), ".txtar"),
		file:  path,
	}
	if c.commands, err = parsePreamble(string(archive.Comment)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, cmd := range c.commands {
		if !slices.Contains(commandNames, cmd.name()) {
			return nil, fmt.Errorf("%s, line %d: there is no command %q", path, cmd.line, cmd.name())
		}
	}
	for _, f := range archive.Files {
		if f.Name == wantFile {
			c.want = string(f.Data)
			continue
		}
		c.files = append(c.files, f)
	}
	return c, nil
}

// parsePreamble reads commands; a line that is indented deeper belongs to the
// command above it.
func parsePreamble(text string) ([]command, error) {
	root := command{}
	type level struct {
		indent int
		at     *command
	}
	open := []level{{indent: -1, at: &root}}
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " \t")
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		words, err := splitCommand(trimmed)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		indent := len(line) - len(trimmed)
		for open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		parent := open[len(open)-1].at
		_, rest, _ := strings.Cut(trimmed, " ")
		parent.body = append(parent.body, command{words: words, text: rest, line: i + 1})
		open = append(open, level{indent, &parent.body[len(parent.body)-1]})
	}
	return root.body, nil
}

// splitCommand splits a line into words, unless its command is about text.
func splitCommand(line string) ([]string, error) {
	switch name, text, _ := strings.Cut(line, " "); name {
	case "config", "says", "hides", "written", "not": // quotes are text
		return append([]string{name}, strings.Fields(text)...), nil
	default:
		return splitWords(line)
	}
}

// splitWords splits at blanks; a part in double quotes is a Go string, also in
// the middle of a word.
func splitWords(line string) ([]string, error) {
	var words []string
	for line = strings.TrimLeft(line, " \t"); line != ""; line = strings.TrimLeft(line, " \t") {
		var word strings.Builder
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			if line[0] != '"' {
				word.WriteByte(line[0])
				line = line[1:]
				continue
			}
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", line, err)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", quoted, err)
			}
			word.WriteString(text)
			line = line[len(quoted):]
		}
		words = append(words, word.String())
	}
	return words, nil
}

// find gives the commands of a name.
func (c *testCase) find(name string) []command {
	var found []command
	for _, cmd := range c.commands {
		if cmd.name() == name {
			found = append(found, cmd)
		}
	}
	return found
}

// has reports whether the preamble holds a command.
func (c *testCase) has(name string) bool { return len(c.find(name)) > 0 }

// value is the first argument of the last command of a name.
func (c *testCase) value(name string) string {
	found := c.find(name)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1].arg(0)
}

// save writes the wanted image into the case's file.
func (c *testCase) save(want string) error {
	data, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	archive := txtar.Parse(data)
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == wantFile })
	archive.Files = append(archive.Files, txtar.File{Name: wantFile, Data: []byte(want)})
	out := txtar.Format(archive)
	if bytes.Equal(out, data) {
		return nil
	}
	return os.WriteFile(c.file, out, 0o644)
}
