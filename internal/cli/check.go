package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/progress"
)

const checkLong = `Check a Dockerfile without building it, by the rules of BuildKit.

The exit status is 0 if nothing was found, else 1. The directive "# check=skip=RULE"
in the Dockerfile leaves out a rule.`

func newCheckCommand(p Process) *cobra.Command {
	f := &buildFlags{progress: "quiet"}
	var format string
	cmd := &cobra.Command{
		Use:                   "check [flags] DIRECTORY",
		Short:                 "Check a Dockerfile without building it",
		Long:                  checkLong,
		DisableFlagsInUseLine: true,
		Args:                  oneDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), p, f, args[0], format)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "`path` Dockerfile, - for stdin (default Dockerfile in DIRECTORY)")
	flags.StringVar(&f.target, "target", "", "`stage` check only what this stage needs")
	flags.StringArrayVar(&f.buildArgs, "build-arg", nil, "`name[=value]` value of an ARG *")
	flags.StringVar(&f.platform, "platform", "", "`os/arch` platform to check for (default this machine's)")
	flags.StringArrayVar(&f.contexts, "build-context", nil, "`name=place` named context, as in kiln build *")
	flags.StringArrayVar(&f.insecure, "insecure-registry", nil, "`host[:port]` registry without TLS *")
	flags.StringVar(&f.root, "root", "", "kiln's own `directory`, as in kiln build")
	flags.StringVar(&format, "format", "text", "text or json")
	return cmd
}

func runCheck(ctx context.Context, p Process, f *buildFlags, dir, format string) error {
	if format != "text" && format != "json" {
		return misuse("", "--format is text or json, not %q", format)
	}
	opts, err := f.options(p, dir)
	if err != nil {
		return err
	}
	source, err := keepDockerfile(&opts)
	if err != nil {
		return err
	}
	opts.Progress, opts.Log = progress.Discard(), slog.New(slog.DiscardHandler)
	found, err := build.Check(ctx, opts)
	show := showFindings
	if format == "json" {
		show = encodeFindings
	}
	if err == nil || len(found) > 0 || format == "json" {
		if err := show(p.Stdout, found, source); err != nil {
			return err
		}
	}
	if err != nil {
		return &buildFailure{err: err, source: source, mask: progress.NewMask(), json: format == "json"}
	}
	if len(found) > 0 {
		return &ended{status: ExitFailed}
	}
	return nil
}

// showFindings writes what was found for people.
func showFindings(w io.Writer, found []dockerfile.Warning, source dockerfileText) error {
	for i, f := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s:%d: %s: %s\n", f.At.File, f.At.Start, f.Rule, readable(f.Message))
		if excerpt := excerptOf(source, f.At.Start, f.At.End); excerpt != "" {
			fmt.Fprintf(w, "\n%s\n", excerpt)
		}
		if f.Hint != "" {
			fmt.Fprintf(w, "hint: %s\n", readable(f.Hint))
		}
		if f.URL != "" {
			fmt.Fprintf(w, "more: %s\n", f.URL)
		}
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "nothing found")
		return err
	}
	_, err := fmt.Fprintf(w, "\nfound: %s\n", count(len(found), "warning"))
	return err
}

// finding is a Warning as JSON; it is documented in docs/check.md.
type finding struct {
	Rule        string `json:"rule"`
	Message     string `json:"message"`
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"`
	Hint        string `json:"hint,omitempty"`
	File        string `json:"file"`
	Line        int    `json:"line"`
	EndLine     int    `json:"endLine"`
}

// encodeFindings writes what was found as one JSON array.
func encodeFindings(w io.Writer, found []dockerfile.Warning, _ dockerfileText) error {
	list := make([]finding, len(found))
	for i, f := range found {
		list[i] = finding{
			Rule: f.Rule, Message: f.Message, Description: f.Description, URL: f.URL, Hint: f.Hint,
			File: f.At.File, Line: f.At.Start, EndLine: max(f.At.Start, f.At.End),
		}
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
