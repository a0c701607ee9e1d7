package dockerfile

import (
	"fmt"
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kiln-build/kiln/internal/plan"
)

// scripts is where the file of a here-document with an interpreter line is.
const scripts = "/dev/pipes/"

// run does RUN.
func (w *walker) run(cmd *instruction, c *instructions.RunCommand) error {
	op := &plan.Run{
		Dir:      path.Clean(w.dir()),
		User:     w.config.Config.User,
		Hostname: w.buildArgs["BUILDKIT_SANDBOX_HOSTNAME"],
		Network:  instructions.GetNetwork(c),
		Insecure: instructions.GetSecurity(c) == instructions.SecurityInsecure,
	}
	script, summary, err := w.commandOf(op, c)
	if err != nil {
		return err
	}
	if script != nil {
		op.Mounts = append(op.Mounts, *script)
	}
	if err := w.mounts(op, cmd, c); err != nil {
		return err
	}
	for _, d := range instructions.GetDevices(c) {
		op.Devices = append(op.Devices, plan.Device{Name: d.Name, Required: d.Required})
	}
	w.setEnv(op)
	if err := w.step(cmd, op, "RUN "+w.runHistory(op.Args)+" # buildkit"); err != nil {
		return err
	}
	step := w.stage.plan.Steps[len(w.stage.plan.Steps)-1]
	step.Text = w.withSecrets(c).text(cmd, summary)
	return nil
}

// commandOf sets what a RUN runs. A single here-document is the script itself,
// or, where it starts with an interpreter line, a file that is run; several, or
// one that a command reads from, are the shell's business.
func (w *walker) commandOf(op *plan.Run, c *instructions.RunCommand) (script *plan.Mount, summary string, err error) {
	args := c.CmdLine
	if len(c.Files) > 0 {
		if len(args) != 1 || !c.PrependShell {
			return nil, "", w.file.fail(c.Location(), "RUN with a here-document cannot be written as JSON")
		}
		first := c.Files[0]
		switch {
		case parser.MustParseHeredoc(args[0]) == nil:
			args = []string{withDocuments(args[0], c.Files)}
		default:
			content := first.Data
			if first.Chomp {
				content = parser.ChompHeredocContent(content)
			}
			summary = fmt.Sprintf(" (%s)", summarize(first.Data))
			args = []string{content}
			if strings.HasPrefix(content, "#!") {
				mode := uint64(0o755)
				script = &plan.Mount{
					Type: "file", Target: path.Join(scripts, first.Name), ReadOnly: true,
					Mode: &mode, Content: []byte(content),
				}
				args = []string{script.Target}
			}
		}
	}
	op.Args = args
	if c.PrependShell {
		w.lintQuotes(c, c.ShellDependantCmdLine)
		op.Args = w.withShell(args)
	}
	return script, summary, nil
}

// withDocuments puts the here-documents back behind a command.
func withDocuments(command string, files []instructions.ShellInlineFile) string {
	var b strings.Builder
	b.WriteString(command)
	for _, file := range files {
		b.WriteString("\n" + file.Data + file.Name)
	}
	return b.String()
}

// summarize returns the first line of a here-document.
func summarize(document string) string {
	line, _, more := strings.Cut(strings.TrimSpace(document), "\n")
	line = strings.TrimSuffix(line, "\r")
	if more {
		line += "..."
	}
	return line
}

// setEnv sets what a RUN sees: ENV and ARG, and the proxies, which win.
func (w *walker) setEnv(op *plan.Run) {
	seen := w.env
	for _, proxy := range w.proxies() {
		if value, has := w.env.Get(proxy.key); has && value == proxy.value {
			continue
		}
		seen = seen.with(proxy.key, proxy.value)
		op.HiddenEnv = append(op.HiddenEnv, proxy.key)
	}
	op.Env = seen.list()
}

// runHistory is what the history says of a RUN: the ARGs, their number first,
// and the command.
func (w *walker) runHistory(args []string) string {
	var words []string
	if len(w.args) > 0 {
		words = append(words, fmt.Sprintf("|%d", len(w.args)))
	}
	for _, a := range w.args {
		value, has := w.env.Get(a.key)
		if !has {
			value = a.value
		}
		words = append(words, a.key+"="+value)
	}
	return strings.Join(append(words, args...), " ")
}

// withSecrets returns w with variables that are secrets shown as stars.
func (w *walker) withSecrets(c *instructions.RunCommand) *walker {
	other := *w
	for _, m := range instructions.GetMounts(c) {
		if m.Type == instructions.MountTypeSecret && m.Env != nil {
			other.before = other.before.with(*m.Env, "****")
		}
	}
	return &other
}
