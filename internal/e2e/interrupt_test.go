package e2e_test

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kiln-build/kiln/internal/testenv"
)

// daemons starts processes in the ways that get a process away from those who
// started it, and waits.
const daemons = `sleep 9876 & setsid sleep 9876 & (setsid sh -c "sleep 9876 & sleep 9876" </dev/null >/dev/null 2>&1 &); ` +
	`trap "" INT TERM HUP; sleep 1; echo all are running; sleep 9876`

// An interrupt, as Ctrl-C sends it, ends a build in the middle of its RUNs: with
// status 130, and without a process, a mount or an output left.
func TestAnInterruptLeavesNothing(t *testing.T) {
	r := testenv.Registry(t)
	dir := source(t, map[string]string{"Dockerfile": "FROM " + testenv.BusyboxBase(t, r) + " AS one\n" +
		"RUN echo 1 > /1\nRUN " + daemons + "\n" +
		"FROM one AS two\nRUN " + daemons + "\n" +
		"FROM " + r.Ref("busybox:base") + "\nRUN sleep 9876\nCOPY --from=two / /\n"})
	b := newBuilder(t, r)
	out := t.TempDir()
	before := look(t)
	cmd := b.command("-o", "type=oci,dest="+filepath.Join(out, "image.tar"), dir)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lines := bufio.NewScanner(io.TeeReader(said, &text))
	for lines.Scan() && !strings.HasSuffix(lines.Text(), " all are running") {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if status := exitCode(t, cmd.Wait()); status != 130 {
		t.Errorf("kiln ended with %d, not 130, and said\n%s", status, &text)
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, before)
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("left where the image was to be: %v, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(b.root, "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in kiln's folder: %v, %v", left, err)
	}
}
