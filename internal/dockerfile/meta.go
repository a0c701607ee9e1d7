package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/sys/signal"
)

// environment does ENV.
func (w *walker) environment(cmd *instruction, c *instructions.EnvCommand) error {
	history := "ENV"
	list := w.config.Config.Env
	for _, e := range c.Env {
		w.lintDelimiter(c, e)
		w.lintSecret("ENV", e.Key, c)
		history += " " + e.String()
		w.env = w.env.with(e.Key, e.Value)
		list = setVariable(list, e.Key, e.Value)
	}
	return w.set(cmd, history, func(c *image) { c.Config.Env = list })
}

// label does LABEL.
func (w *walker) label(cmd *instruction, c *instructions.LabelCommand) error {
	history := "LABEL"
	labels := maps.Clone(w.config.Config.Labels)
	if labels == nil {
		labels = make(map[string]string)
	}
	for _, l := range c.Labels {
		w.lintDelimiter(c, l)
		history += " " + l.String()
		labels[l.Key] = l.Value
	}
	return w.set(cmd, history, func(c *image) { c.Config.Labels = labels })
}

// maintainer does MAINTAINER.
func (w *walker) maintainer(cmd *instruction, c *instructions.MaintainerCommand) error {
	return w.set(cmd, "MAINTAINER "+c.Maintainer, func(config *image) { config.Author = c.Maintainer })
}

// user does USER.
func (w *walker) user(cmd *instruction, c *instructions.UserCommand) error {
	return w.set(cmd, "USER "+c.User, func(config *image) { config.Config.User = c.User })
}

// volume does VOLUME.
func (w *walker) volume(cmd *instruction, c *instructions.VolumeCommand) error {
	if slices.Contains(c.Volumes, "") {
		return w.file.fail(c.Location(), "VOLUME: one of the paths is empty after expansion")
	}
	return w.set(cmd, fmt.Sprintf("VOLUME %v", c.Volumes), func(config *image) {
		config.Config.Volumes = setKeys(config.Config.Volumes, c.Volumes)
	})
}

// stopSignal does STOPSIGNAL.
func (w *walker) stopSignal(cmd *instruction, c *instructions.StopSignalCommand) error {
	if _, err := signal.ParseSignal(c.Signal); err != nil {
		e := w.file.fail(c.Location(), "STOPSIGNAL %s: there is no such signal", c.Signal)
		var names []string
		for name := range signal.SignalMap {
			names = append(names, "SIG"+name)
		}
		if match := nearest(c.Signal, names); match != "" {
			return e.hint("did you mean %s?", match)
		}
		return e.hint("a signal is a name such as SIGTERM, or a number")
	}
	return w.set(cmd, "STOPSIGNAL "+c.Signal, func(config *image) { config.Config.StopSignal = c.Signal })
}

// shell does SHELL.
func (w *walker) shell(cmd *instruction, c *instructions.ShellCommand) error {
	return w.set(cmd, fmt.Sprintf("SHELL %v", c.Shell), func(config *image) { config.Config.Shell = c.Shell })
}

// command does CMD.
func (w *walker) command(cmd *instruction, c *instructions.CmdCommand) error {
	w.lintOnce(c, &w.cmd)
	args := w.commandLine(c, c.ShellDependantCmdLine)
	return w.set(cmd, fmt.Sprintf("CMD %q", args), func(config *image) {
		config.Config.Cmd = args
		config.Config.ArgsEscaped = true //nolint:staticcheck // deprecated, but BuildKit's images have it
	})
}

// entry does ENTRYPOINT. A CMD of the base goes: it was meant for another
// program. One of this stage stays.
func (w *walker) entry(cmd *instruction, c *instructions.EntrypointCommand) error {
	w.lintOnce(c, &w.entrypoint)
	args := w.commandLine(c, c.ShellDependantCmdLine)
	return w.set(cmd, fmt.Sprintf("ENTRYPOINT %q", args), func(config *image) {
		config.Config.Entrypoint = args
		if w.cmd == nil {
			config.Config.Cmd = nil
		}
	})
}

// commandLine returns the arguments of CMD or ENTRYPOINT, with the shell in
// front where they were not written as JSON.
func (w *walker) commandLine(c instructions.Command, line instructions.ShellDependantCmdLine) []string {
	if !line.PrependShell {
		return line.CmdLine
	}
	if len(w.config.Config.Shell) == 0 {
		w.lint.Run(&linter.RuleJSONArgsRecommended, c.Location(), linter.RuleJSONArgsRecommended.Format(c.Name()))
	}
	w.lintQuotes(c, line)
	return w.withShell(line.CmdLine)
}

// withShell puts the shell in front of a command.
func (w *walker) withShell(args []string) []string {
	sh := w.config.Config.Shell
	if len(sh) == 0 {
		sh = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(sh), strings.Join(args, " "))
}

// health does HEALTHCHECK.
func (w *walker) health(cmd *instruction, c *instructions.HealthCheckCommand) error {
	w.lintOnce(c, &w.healthcheck)
	check := dockerspec.HealthcheckConfig{
		Test:          c.Health.Test,
		Interval:      c.Health.Interval,
		Timeout:       c.Health.Timeout,
		StartPeriod:   c.Health.StartPeriod,
		StartInterval: c.Health.StartInterval,
		Retries:       c.Health.Retries,
	}
	return w.set(cmd, fmt.Sprintf("HEALTHCHECK %+v", check), func(config *image) { config.Config.Healthcheck = &check })
}

// onbuild does ONBUILD, which has no line in the history.
func (w *walker) onbuild(cmd *instruction, c *instructions.OnbuildCommand) error {
	return w.set(cmd, "", func(config *image) {
		config.Config.OnBuild = append(slices.Clip(config.Config.OnBuild), c.Expression)
	})
}
