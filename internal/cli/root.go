package cli

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRootCommand returns the command that holds all others.
func newRootCommand(p Process, b Builder) *cobra.Command {
	root := &cobra.Command{
		Use:           "kiln",
		Short:         "Build container images from Dockerfiles, without a daemon and without privileges",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newBuildCommand(p, b), newCheckCommand(p), newDoctorCommand(p), newVersionCommand())
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which version of kiln this is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version returns what the Go toolchain has recorded about this binary.
func version() string {
	number, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		number = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	return fmt.Sprintf("kiln %s%s %s %s/%s", number, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{Command: cmd.CommandPath(), Problem: fmt.Sprintf("unexpected argument %q", args[0])}
	}
	return nil
}

func unknownCommand(cmd *cobra.Command, name string) error {
	err := &usageError{Command: cmd.CommandPath(), Problem: fmt.Sprintf("unknown command %q", name)}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := nearest(name, names); near != "" {
		err.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}

// flagError explains what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	usage := &usageError{Command: cmd.CommandPath(), Problem: err.Error()}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		usage.Hint = hintForFlag(cmd, unknown.GetSpecifiedName())
	}
	return usage
}

func hintForFlag(cmd *cobra.Command, name string) string {
	if hint, known := elsewhere(cmd.Name(), name); known {
		return hint
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean --%s?", near)
	}
	return ""
}

// nearest returns the one of names that word most likely stands for: one that
// it is the start of, or a misspelling of; "" if none is near.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", min(3, len(word))
	for _, name := range names {
		if word != "" && strings.HasPrefix(name, word) {
			return name
		}
		if d := levenshtein.Distance(word, name, nil); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}
