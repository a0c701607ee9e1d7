package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kiln-build/kiln/internal/rootfs/engines"
	"github.com/kiln-build/kiln/internal/store"
)

const doctorLong = `Try which engines work here, by doing what a RUN needs, and print the outcome.

A build takes the first that works. Builds without RUN need none.`

func newDoctorCommand(p Process) *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what RUN can run in here, and why",
		Long:  doctorLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := rootDir(p, root)
			if err != nil {
				return err
			}
			whyNot, err := p.enter()
			if err != nil {
				return err
			}
			if whyNot != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "user namespace: %v\n", whyNot)
			}
			return diagnose(cmd.Context(), cmd.OutOrStdout(), dir, p.Container)
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "kiln's own `directory`, as in kiln build")
	return cmd
}

// diagnose tries every engine, not only the first that works.
func diagnose(ctx context.Context, w io.Writer, dir, container string) (err error) {
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintf(w, "kiln's folder: %s\n", s.Dir())
	chosen := ""
	for _, name := range engines.Names() {
		_, report, err := engines.Select(ctx, engines.Options{Name: name, Store: s, Container: container})
		var none *engines.NoEngineError
		if err != nil && !errors.As(err, &none) {
			return err
		}
		fmt.Fprint(w, report)
		if chosen == "" {
			chosen = report.Chosen
		}
	}
	if chosen == "" {
		return errors.New("no engine works here: builds with RUN will fail")
	}
	fmt.Fprintf(w, "A build runs commands in the engine %s.\n", chosen)
	return nil
}
