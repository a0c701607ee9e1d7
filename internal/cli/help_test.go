package cli

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func buildHelp(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	p := Process{Args: []string{"kiln", "build", "--help"}, Stdout: &out, Stderr: &out}
	if status := Main(context.Background(), p); status != ExitOK {
		t.Fatalf("kiln build --help: exit status %d\n%s", status, &out)
	}
	return out.String()
}

func TestHelpFitsATerminal(t *testing.T) {
	for line := range strings.Lines(buildHelp(t)) {
		if len(line) > 110 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}

func TestEveryFlagIsExplainedInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/build.md")
	if err != nil {
		t.Fatal(err)
	}
	help := buildHelp(t)
	cmd := newBuildCommand(Process{}, nil)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(help, "--"+f.Name) {
			t.Errorf("--%s is not in the help", f.Name)
		}
		if !strings.Contains(string(page), "`--"+f.Name) {
			t.Errorf("--%s is not in docs/build.md", f.Name)
		}
	})
}
