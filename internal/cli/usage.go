package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError says that the command line is wrong. Nothing was done.
type usageError struct {
	// Command is what was called: "kiln build".
	Command string
	// Problem is one line about what is wrong.
	Problem string
	// Hint is what to do about it, "" where the problem says it.
	Hint string
}

func (e *usageError) Error() string { return e.Problem }

// misuse returns a usage error of kiln build.
func misuse(hint, format string, args ...any) error {
	return &usageError{Command: "kiln build", Problem: fmt.Sprintf(format, args...), Hint: hint}
}

// flagGroup is flags that are shown together in the help of a command.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newFlagGroup(title string) flagGroup {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	return flagGroup{title: title, flags: flags}
}

// addGroups adds the flags of all groups to cmd, and shows them by group in its
// help.
func addGroups(cmd *cobra.Command, groups []flagGroup) {
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), groupedHelp(cmd, groups))
	})
}

func groupedHelp(cmd *cobra.Command, groups []flagGroup) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\nUsage:\n  %s\n", cmd.Long, cmd.UseLine())
	fmt.Fprintf(&out, "\nExamples:\n%s\n", cmd.Example)
	column := 0
	for _, g := range groups {
		g.flags.VisitAll(func(f *pflag.Flag) { column = max(column, len(flagSyntax(f))) })
	}
	for _, g := range groups {
		fmt.Fprintf(&out, "\n%s:\n", g.title)
		g.flags.VisitAll(func(f *pflag.Flag) {
			usage := strings.ReplaceAll(flagUsage(f), "\n", "\n"+strings.Repeat(" ", column+2))
			fmt.Fprintf(&out, "%-*s  %s\n", column, flagSyntax(f), usage)
		})
	}
	out.WriteString("\n* may be given more than once\n")
	return out.String()
}

// flagSyntax is how a flag is written: "  -t, --tag name".
func flagSyntax(f *pflag.Flag) string {
	syntax := "      --" + f.Name
	if f.Shorthand != "" {
		syntax = fmt.Sprintf("  -%s, --%s", f.Shorthand, f.Name)
	}
	if f.Value.Type() == "bool" {
		return syntax
	}
	value, _ := pflag.UnquoteUsage(f)
	return syntax + " " + value
}

// flagUsage is what a flag does, without the value's name that starts it.
func flagUsage(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	if f.Value.Type() == "bool" {
		return usage
	}
	return strings.TrimPrefix(usage, value+" ")
}
