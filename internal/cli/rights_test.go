package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/rootfs/engines"
)

// enterWith calls "kiln build" as a user without rights, for whom Enter does
// what enter does.
func enterWith(t *testing.T, b Builder, enter func() (int, error), args ...string) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := runKiln(t.Context(), Process{
		Args: append([]string{"kiln", "build", "-q"}, args...), Env: []string{"HOME=/home/user"}, UID: 1000,
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Enter: enter,
	}, b)
	return said{stdout.String(), stderr.String(), status}
}

func TestABuildIsCarriedOutWhereItHasTheRights(t *testing.T) {
	unused := func(context.Context, build.Options) (build.Result, error) {
		t.Error("the build ran outside, too")
		return build.Result{}, nil
	}
	got := enterWith(t, unused, func() (int, error) { return 7, nil }, dirWith(t, sixLines))
	if got != (said{status: 7}) {
		t.Errorf("%+v", got)
	}
}

func TestMistakesAreFoundBeforeAnythingElse(t *testing.T) {
	entered := func() (int, error) {
		t.Error("entered")
		return 0, nil
	}
	if got := enterWith(t, nil, entered, "--format=x", dirWith(t, sixLines)); got.status != ExitUsage {
		t.Errorf("%+v", got)
	}
}

func TestABuildWithoutRunNeedsNoRights(t *testing.T) {
	var opts build.Options
	got := enterWith(t, making(&opts), func() (int, error) { return 0, errors.New("no namespace") }, dirWith(t, sixLines))
	if got.status != ExitOK || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestMissingRightsAreExplainedWhereTheyMatter(t *testing.T) {
	noEngine := fmt.Errorf("run: %w", &engines.NoEngineError{Report: engines.Report{
		Probes: []engines.Probe{{Engine: "overlay", Err: errors.New("not permitted")}},
	}})
	got := enterWith(t, failing(noEngine), func() (int, error) { return 0, errors.New("newuidmap is not installed") }, dirWith(t, sixLines))
	if got.status != ExitFailed || !strings.Contains(got.stderr, "overlay: not permitted; newuidmap is not installed") {
		t.Errorf("%+v", got)
	}
}
