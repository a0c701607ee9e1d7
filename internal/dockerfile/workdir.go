package dockerfile

import (
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"

	"github.com/kiln-build/kiln/internal/plan"
)

// workdir does WORKDIR. It makes a layer, even if the directory exists.
func (w *walker) workdir(cmd *instruction, c *instructions.WorkdirCommand) error {
	if !w.workdirSet && !path.IsAbs(c.Path) {
		w.lint.Run(&linter.RuleWorkdirRelativePath, c.Location(), linter.RuleWorkdirRelativePath.Format(c.Path))
	}
	w.workdirSet = true
	dir := joinDir(w.config.Config.WorkingDir, c.Path)
	w.config = edit(w.config, func(c *image) { c.Config.WorkingDir = dir })
	var op plan.Op = plan.Meta{}
	if clean := path.Clean(dir); clean != "/" {
		op = &plan.Workdir{Path: clean, User: w.config.Config.User}
	}
	return w.step(cmd, op, "WORKDIR "+dir)
}

// dir is the working directory.
func (w *walker) dir() string { return joinDir(w.config.Config.WorkingDir, "") }

// joinDir returns the directory that dir leads to from the absolute directory
// current. As in BuildKit, an absolute one is left as it is written.
func joinDir(current, dir string) string {
	if path.IsAbs(dir) {
		return dir
	}
	return path.Join("/", current, dir)
}

// destination returns where a COPY to dest goes. What says that it is a
// directory, a slash or "/." at the end, is kept.
func (w *walker) destination(dest string) string {
	if dest == "" || dest == "." {
		dest = "./"
	}
	full := joinDir(w.dir(), path.Clean(dest))
	slash := full
	if full != "/" {
		slash += "/"
	}
	switch {
	case strings.HasSuffix(dest, "/"):
		return slash
	case strings.HasSuffix(dest, "/."):
		return slash + "."
	}
	return full
}
