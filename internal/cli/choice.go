package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kiln-build/kiln/internal/rootfs/engines"
)

// choices returns what a flag takes that takes one of few values.
func choices(flag string) []string {
	switch flag {
	case "format":
		return []string{"oci", "docker"}
	case "compression":
		return []string{"gzip", "zstd", "none"}
	case "engine":
		return engines.Names()
	case "progress":
		return []string{"auto", "tty", "plain", "json", "quiet"}
	}
	return nil
}

// checkChoice checks the value of such a flag; "" is that it was not given.
func checkChoice(flag, value string) error {
	allowed := choices(flag)
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	hint := "it is one of " + strings.Join(allowed, ", ")
	if near := nearest(value, allowed); near != "" {
		hint = "did you mean " + near + "?"
	}
	return misuse(hint, "--%s %q is not known", flag, value)
}

// completeChoices lets shells complete the values of such flags, and
// directories as the argument.
func completeChoices(cmd *cobra.Command) {
	for _, flag := range []string{"format", "compression", "engine", "progress"} {
		complete := cobra.FixedCompletions(choices(flag), cobra.ShellCompDirectiveNoFileComp)
		// It fails for flags that are not there or have one already.
		_ = cmd.RegisterFlagCompletionFunc(flag, complete)
	}
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
}
