package dockerfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/opencontainers/go-digest"
	mode "github.com/tonistiigi/dchapes-mode"

	"github.com/kiln-build/kiln/internal/plan"
)

// copy does COPY.
func (w *walker) copy(cmd *instruction, c *instructions.CopyCommand) error {
	op := &plan.Copy{Chown: c.Chown, Chmod: c.Chmod, Link: c.Link, Parents: c.Parents, Excludes: c.ExcludePatterns}
	if len(cmd.from) > 0 {
		var err error
		if op.From, err = w.origin(cmd.from[0], w.stage); err != nil {
			return err
		}
	}
	return w.copyFiles(cmd, op, c.SourcesAndDest)
}

// add does ADD.
func (w *walker) add(cmd *instruction, c *instructions.AddCommand) error {
	op := &plan.Copy{
		Add: true, Chown: c.Chown, Chmod: c.Chmod, Link: c.Link, Excludes: c.ExcludePatterns,
		Unpack: c.Unpack, Checksum: c.Checksum,
	}
	if c.KeepGitDir != nil {
		op.KeepGitDir = *c.KeepGitDir
	}
	if err := checkChecksum(c); err != nil {
		return w.file.wrap(c.Location(), err)
	}
	for _, src := range c.SourcePaths {
		if err := checkGit(src, c); err != nil {
			return w.file.wrap(c.Location(), fmt.Errorf("ADD %s: %w", src, err))
		}
	}
	return w.copyFiles(cmd, op, c.SourcesAndDest)
}

// copyFiles does what COPY and ADD have in common.
func (w *walker) copyFiles(cmd *instruction, op *plan.Copy, files instructions.SourcesAndDest) error {
	name := strings.ToUpper(cmd.Name())
	if err := checkChown(op); err != nil {
		return w.file.fail(cmd.Location(), "%s --chown=%s: %v", name, op.Chown, err)
	}
	if err := checkChmod(op.Chmod); err != nil {
		return w.file.fail(cmd.Location(), "%s --chmod=%s: %v", name, op.Chmod, err).
			hint("a mode is octal, as 755, or symbolic, as u=rwX,go=rX")
	}
	// BuildKit does not link what it changes the mode of.
	op.Link = op.Link && op.Chmod == ""
	op.Dest = w.destination(files.DestPath)
	for _, src := range files.SourcePaths {
		source := classify(src)
		if !op.Add && source.Path == "" {
			return w.file.fail(cmd.Location(), "COPY %s: COPY does not download", src).hint("ADD does")
		}
		if source.Path != "" && op.From == (plan.Origin{}) {
			w.lintIgnored(cmd, op, source.Path)
		}
		op.Sources = append(op.Sources, source)
	}
	for _, doc := range files.SourceContents {
		if strings.Contains(doc.Path, "/") || doc.Path == "." || doc.Path == ".." {
			return w.file.fail(cmd.Location(), "%s: %q cannot be the name of a file", name, doc.Path)
		}
		op.Sources = append(op.Sources, plan.Source{Inline: &plan.InlineFile{Name: doc.Path, Content: []byte(doc.Data)}})
	}
	return w.step(cmd, op, copyHistory(name, op, files)+" # buildkit")
}

// copyHistory is what the history says of a COPY or ADD.
func copyHistory(name string, op *plan.Copy, files instructions.SourcesAndDest) string {
	words := []string{name}
	if op.Parents {
		words = append(words, "--parents")
	}
	if op.Chown != "" {
		words = append(words, "--chown="+op.Chown)
	}
	if op.Chmod != "" {
		words = append(words, "--chmod="+op.Chmod)
	}
	words = append(words, files.SourcePaths...)
	for _, doc := range files.SourceContents {
		words = append(words, "<<"+doc.Path)
	}
	return strings.Join(append(words, files.DestPath), " ")
}

// classify finds out what a source is by how it is written.
func classify(src string) plan.Source {
	switch {
	case isGit(src):
		return plan.Source{Git: src}
	case strings.HasPrefix(src, "http://"), strings.HasPrefix(src, "https://"):
		return plan.Source{URL: src}
	case src == "":
		return plan.Source{Path: "."}
	}
	return plan.Source{Path: src}
}

// isGit reports whether src is a git remote and cannot be a file.
func isGit(src string) bool {
	ref, is, err := dfgitutil.ParseGitRef(src)
	if err != nil {
		return is // an address of a repository, with a query that is wrong
	}
	return !ref.IndistinguishableFromLocal
}

// checkGit checks what the address of a git remote says against the flags.
func checkGit(src string, c *instructions.AddCommand) error {
	ref, is, err := dfgitutil.ParseGitRef(src)
	if err != nil {
		if is {
			return err
		}
		return nil
	}
	if c.KeepGitDir != nil && ref.KeepGitDir != nil && *c.KeepGitDir != *ref.KeepGitDir {
		return errors.New("--keep-git-dir and keep-git-dir in the address contradict each other")
	}
	if c.Checksum != "" && ref.Checksum != "" && c.Checksum != ref.Checksum {
		return errors.New("--checksum and the checksum in the address contradict each other")
	}
	return nil
}

// checkChecksum checks ADD --checksum.
func checkChecksum(c *instructions.AddCommand) error {
	if c.Checksum == "" {
		return nil
	}
	if len(c.SourcePaths) != 1 {
		return errors.New("ADD --checksum takes one source")
	}
	switch source := classify(c.SourcePaths[0]); {
	case source.Path != "":
		return errors.New("ADD --checksum is for what is downloaded: a URL or a git repository")
	case source.URL != "":
		if _, err := digest.Parse(c.Checksum); err != nil {
			return fmt.Errorf("ADD --checksum=%s: %w", c.Checksum, err)
		}
	}
	return nil
}

// checkChown checks --chown. There are no names where there is nothing below.
func checkChown(op *plan.Copy) error {
	if !op.Link || op.Chown == "" {
		return nil
	}
	user, group, _ := strings.Cut(op.Chown, ":")
	if isID(user) && (group == "" || isID(group)) {
		return nil
	}
	return errors.New("with --link, which does not see the image, user and group have to be numbers")
}

func isID(s string) bool {
	_, err := strconv.ParseInt(s, 10, 32)
	return err == nil || s == "root"
}

// checkChmod checks --chmod: an octal number, or symbols as chmod takes them.
func checkChmod(s string) error {
	if s == "" {
		return nil
	}
	if n, err := strconv.ParseUint(s, 8, 32); err == nil {
		if n > 0o7777 {
			return errors.New("an octal mode is between 0 and 07777")
		}
		return nil
	}
	if _, err := mode.Parse(s); err != nil {
		var number *strconv.NumError
		if errors.As(err, &number) {
			return errors.New("an octal mode is between 0 and 07777")
		}
		return err
	}
	return nil
}
