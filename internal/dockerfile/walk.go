package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/plan"
)

// state is what an instruction starts from and leaves behind, besides layers.
// It is a value; a stage starts with that of its base.
type state struct {
	config *image
	// env is what RUN and expansions see: the config's variables and the ARGs.
	env env
	// args are the ARGs declared so far, each with the last value it was declared
	// with, "" for none.
	args env
	// platform is what the stage builds for.
	platform ocispec.Platform
	// workdirSet is set once there was a WORKDIR, in the stage or its base.
	workdirSet bool
}

// walker goes through the instructions of one stage.
type walker struct {
	*resolver
	state
	stage *stage
	// before is what expansions in the instruction see: what it sets itself is
	// not there yet.
	before env
	// lint is the linter with what the comments above the instruction say.
	lint *linter.Linter
	// cmd, entrypoint and healthcheck are where these were seen last in the
	// stage, nil for not yet.
	cmd, entrypoint, healthcheck []parser.Range
}

// walkStage makes the stage of the plan out of s.
func (r *resolver) walkStage(s *stage) error {
	w := &walker{resolver: r, stage: s, lint: r.lint}
	s.plan = &plan.Stage{Index: s.index, Name: s.name, At: r.file.location(s.at)}
	w.start()
	if w.platform.OS == "windows" || w.config.OS == "windows" {
		return r.file.fail(s.at, "stage %s is for Windows, which kiln does not build for", s.title())
	}
	s.plan.Base.Config, s.plan.Platform = w.config, w.platform
	w.addContext()
	for _, cmd := range s.commands {
		w.lint = r.lint.WithMergedConfigFromComments(cmd.Comments())
		if err := w.instruction(cmd); err != nil {
			return r.file.wrap(cmd.Location(), err)
		}
	}
	s.state = w.state
	return nil
}

// start takes over the state of the base.
func (w *walker) start() {
	s, base := w.stage, &w.stage.plan.Base
	w.platform = w.targetPlatform
	if s.platform != nil && s.baseName != scratch {
		w.platform = *s.platform
	}
	switch {
	case s.base != nil:
		w.state = s.base.state
		base.Stage = s.base.plan
		w.config = baseConfig(w.config)
	case s.image != nil:
		base.Image = s.image
		w.config = baseConfig(s.image.Config)
	case s.override != "":
		w.config = platformConfig(w.platform)
		return
	default:
		w.config = scratchConfig(w.platform)
	}
	// What ENV says wins over an ARG of the base with the same name, whichever
	// came last there.
	w.env = w.env.withAll(parseEnv(w.config.Config.Env))
	if dir := w.config.Config.WorkingDir; dir != "" {
		w.config = edit(w.config, func(c *image) { c.Config.WorkingDir = joinDir(dir, dir) })
	}
}

// addContext copies in the files of a stage that a source tree takes the place
// of, or that starts from one.
func (w *walker) addContext() {
	s := w.stage
	if s.base != nil {
		return
	}
	p := w.provide(s.baseName, s.override)
	if p.empty || p.ref != "" {
		return
	}
	s.plan.Steps = append(s.plan.Steps, &plan.Step{
		Op: &plan.Copy{
			From:    plan.Origin{Context: p.context},
			Sources: []plan.Source{{Path: "/"}},
			Dest:    "/",
		},
		Text:    "COPY --from=" + p.context + " / /",
		At:      s.plan.At,
		Config:  w.config,
		History: &ocispec.History{CreatedBy: "[context " + p.context + "] load from client", Comment: "buildkit.exporter.image.v0"},
	})
}

// instruction does one instruction.
func (w *walker) instruction(cmd *instruction) error {
	w.before = w.env
	if err := w.expandInPlace(cmd); err != nil {
		return err
	}
	switch c := cmd.Command.(type) {
	case *instructions.ArgCommand:
		return w.argument(cmd, c)
	case *instructions.EnvCommand:
		return w.environment(cmd, c)
	case *instructions.LabelCommand:
		return w.label(cmd, c)
	case *instructions.MaintainerCommand:
		return w.maintainer(cmd, c)
	case *instructions.UserCommand:
		return w.user(cmd, c)
	case *instructions.VolumeCommand:
		return w.volume(cmd, c)
	case *instructions.ExposeCommand:
		return w.expose(cmd, c)
	case *instructions.StopSignalCommand:
		return w.stopSignal(cmd, c)
	case *instructions.ShellCommand:
		return w.shell(cmd, c)
	case *instructions.CmdCommand:
		return w.command(cmd, c)
	case *instructions.EntrypointCommand:
		return w.entry(cmd, c)
	case *instructions.HealthCheckCommand:
		return w.health(cmd, c)
	case *instructions.OnbuildCommand:
		return w.onbuild(cmd, c)
	case *instructions.WorkdirCommand:
		return w.workdir(cmd, c)
	case *instructions.RunCommand:
		return w.run(cmd, c)
	case *instructions.CopyCommand:
		return w.copy(cmd, c)
	case *instructions.AddCommand:
		return w.add(cmd, c)
	}
	return w.file.fail(cmd.Location(), "%s is not supported", strings.ToUpper(cmd.Name()))
}

// expandInPlace expands the words of an instruction, those that are expanded
// before anything is done with it.
func (w *walker) expandInPlace(cmd *instruction) error {
	// The value of an ARG may not be wanted, so it is expanded when it is.
	_, isArg := cmd.Command.(*instructions.ArgCommand)
	if c, ok := cmd.Command.(instructions.SupportsSingleWordExpansion); ok && !isArg {
		if err := c.Expand(w.expander(cmd, w.lex)); err != nil {
			return w.failExpansion(cmd, err)
		}
	}
	if c, ok := cmd.Command.(instructions.SupportsSingleWordExpansionRaw); ok {
		lex := shell.NewLex('\\')
		lex.SkipProcessQuotes = true
		if err := c.ExpandRaw(w.expander(cmd, lex)); err != nil {
			return w.failExpansion(cmd, err)
		}
	}
	return nil
}

func (w *walker) expander(cmd *instruction, lex *shell.Lex) instructions.SingleWordExpander {
	return func(word string) (string, error) {
		expanded, unmatched, err := lex.ProcessWord(word, w.before)
		w.lintUndefined(cmd, unmatched)
		return expanded, err
	}
}

// failExpansion says what is wrong with the words of an instruction.
func (w *walker) failExpansion(cmd *instruction, err error) error {
	return w.file.fail(cmd.Location(), "%s", message(err)).hint("%s", advise(message(err)))
}

// step adds an instruction to the stage, with the config as it now is. history
// is its line there, "" for none; a layer is announced in it even if it will be
// empty.
func (w *walker) step(cmd *instruction, op plan.Op, history string) error {
	step := &plan.Step{
		Op:     op,
		Text:   w.text(cmd, ""),
		At:     w.file.location(cmd.Location()),
		Config: w.config,
	}
	if history != "" {
		_, meta := op.(plan.Meta)
		step.History = &ocispec.History{CreatedBy: history, Comment: "buildkit.dockerfile.v0", EmptyLayer: meta}
	}
	w.stage.plan.Steps = append(w.stage.plan.Steps, step)
	return nil
}

// set adds an instruction that only changes the config.
func (w *walker) set(cmd *instruction, history string, change func(*image)) error {
	w.config = edit(w.config, change)
	return w.step(cmd, plan.Meta{}, history)
}

// text is an instruction as it is shown: its name in upper case, variables
// expanded where they will be.
func (w *walker) text(cmd *instruction, more string) string {
	source := cmd.Name()
	if s, ok := cmd.Command.(fmt.Stringer); ok {
		source = s.String()
	}
	source += more
	if lex := w.shownBy(cmd); lex != nil {
		if expanded, _, err := lex.ProcessWord(source, w.before); err == nil {
			source = expanded
		}
	}
	name, rest, found := strings.Cut(source, " ")
	text := strings.ToUpper(name)
	if found {
		text += " " + rest
	}
	if cmd.triggered {
		text = "ONBUILD " + text
	}
	return text
}

// shownBy returns what expands an instruction for being shown, nil for those
// that are not expanded. Of a RUN the shell expands most; what is known is shown
// all the same, as in BuildKit.
func (w *walker) shownBy(cmd *instruction) *shell.Lex {
	switch cmd.Command.(type) {
	case *instructions.CopyCommand, *instructions.AddCommand, *instructions.WorkdirCommand:
		return w.lex
	case *instructions.CmdCommand, *instructions.EntrypointCommand, *instructions.HealthCheckCommand,
		*instructions.MaintainerCommand, *instructions.OnbuildCommand, *instructions.ShellCommand:
		return nil
	}
	lex := shell.NewLex(w.file.escape)
	lex.RawQuotes, lex.RawEscapes, lex.SkipUnsetEnv = true, true, true
	return lex
}
