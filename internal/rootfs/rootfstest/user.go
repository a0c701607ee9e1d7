package rootfstest

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/moby/sys/user"
)

// TestUser is the environment variable that names the ordinary user of
// [AsUser]; one with ranges in /etc/subuid and /etc/subgid has all ids, others
// only their own.
const TestUser = "KILN_TEST_USER"

// AsUser runs the tests that pattern names once more, rootless, as an ordinary
// user: the one that TestUser names, or nobody. It skips where this process is
// no root, or one of a user namespace.
func AsUser(t *testing.T, pattern string) {
	t.Helper()
	if os.Geteuid() != 0 || !isIDMapped(t, 1<<31) {
		t.Skip("is rootless already")
	}
	name := os.Getenv(TestUser)
	if name == "" {
		name = "nobody"
	}
	who, err := user.LookupUser(name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), copyOfSelf(t), "-test.v="+strconv.FormatBool(testing.Verbose()), "-test.run="+pattern)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(who.Uid), Gid: uint32(who.Gid)},
		Pdeathsig:  syscall.SIGKILL,
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	t.Logf("as %s:\n%s", name, out.String())
	if err != nil {
		t.Error(err)
	}
}
