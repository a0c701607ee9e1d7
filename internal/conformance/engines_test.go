package conformance_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
)

// An engine is kiln in one of its ways to work.
type engine struct {
	name    string
	builder *kiln
}

// Variables that say what is tested.
const (
	// binaryVariable names a kiln; without it one is built.
	binaryVariable = "KILN"
	// enginesVariable names engines, separated by blanks.
	enginesVariable = "KILN_ENGINES"
	// userVariable names an ordinary user with ids in /etc/subuid, for whom the
	// rootless engines run where the test is run by root.
	userVariable = "KILN_USER"
)

// kilnEngines are all that can be tested here.
func kilnEngines(t *testing.T) []engine {
	t.Helper()
	binary := os.Getenv(binaryVariable)
	if binary == "" {
		binary = buildKiln(t)
	}
	names := strings.Fields(os.Getenv(enginesVariable))
	if len(names) == 0 {
		names = []string{"overlay", "chroot"}
	}
	var engines []engine
	for _, name := range names {
		engines = append(engines, engine{name, &kiln{binary: binary, engine: name, root: sharedDir(t)}})
	}
	engines = append(engines, engine{names[0] + "-cached", &kiln{binary: binary, engine: names[0], root: sharedDir(t), cached: true}})
	if os.Getenv(userVariable) == "" {
		return engines
	}
	ordinary, err := user.Lookup(os.Getenv(userVariable))
	if err != nil {
		t.Fatal(err)
	}
	binary = copyProgram(t, binary)
	for _, name := range names {
		k := &kiln{binary: binary, engine: name, root: sharedDir(t), home: sharedDir(t), user: credential(t, ordinary)}
		for _, dir := range []string{k.root, k.home} {
			if err := os.Chown(dir, int(k.user.Uid), int(k.user.Gid)); err != nil {
				t.Fatal(err)
			}
		}
		engines = append(engines, engine{name + "-rootless", k})
	}
	return engines
}

// copyProgram copies a program to where every user can run it.
func copyProgram(t *testing.T, program string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(sharedDir(t), filepath.Base(program))
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func credential(t *testing.T, u *user.User) *syscall.Credential {
	t.Helper()
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// sharedDir is a temporary directory that other users can enter. Kiln's folder
// holds files of many owners, so that it is removed by root's own rm.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec.Command("rm", "-rf", dir).Run(); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// buildKiln compiles kiln, which the go command has done before more often than
// not.
func buildKiln(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(sharedDir(t), "kiln")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/kiln-build/kiln/cmd/kiln")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := runCommand(cmd); err != nil {
		t.Fatal(err)
	}
	return binary
}

// startAgent starts an SSH agent with one key until the test ends.
func startAgent(t *testing.T, socket string) {
	t.Helper()
	if _, err := exec.LookPath("ssh-agent"); err != nil {
		t.Skipf("the case needs an SSH agent (Debian: openssh-client): %v", err)
	}
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill() // it has nothing to lose
		_ = agent.Wait()         // and always ends by that signal
	})
	key := filepath.Join(t.TempDir(), "key")
	if err := runCommand(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "conformance", "-f", key)); err != nil {
		t.Fatal(err)
	}
	add := exec.Command("sh", "-c", `until test -S "$SSH_AUTH_SOCK"; do sleep 0.1; done; exec ssh-add -q "$0"`, key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if err := runCommand(add); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
}

// A table counts verdicts by theme and engine.
type table struct {
	engines []string
	mu      sync.Mutex
	counts  map[string]map[string]map[verdict]int
}

func newTable(engines []engine) *table {
	t := &table{counts: make(map[string]map[string]map[verdict]int)}
	for _, e := range engines {
		t.engines = append(t.engines, e.name)
	}
	return t
}

func (t *table) add(theme, engine string, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range []string{theme, "all"} {
		if t.counts[row] == nil {
			t.counts[row] = make(map[string]map[verdict]int)
		}
		if t.counts[row][engine] == nil {
			t.counts[row][engine] = make(map[verdict]int)
		}
		t.counts[row][engine][v]++
	}
}

// print writes a row for each theme: how many cases each engine builds equal,
// and how the others differ.
func (t *table) print(w io.Writer) {
	themes := slices.DeleteFunc(slices.Sorted(maps.Keys(t.counts)), func(s string) bool { return s == "all" })
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "theme\t%s\n", strings.Join(t.engines, "\t"))
	for _, theme := range append(themes, "all") {
		fmt.Fprint(tw, theme)
		for _, engine := range t.engines {
			fmt.Fprintf(tw, "\t%s", summary(t.counts[theme][engine]))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// summary is one cell: "12 of 14 equal, 1 different, 1 not built".
func summary(counts map[verdict]int) string {
	all := 0
	for v, n := range counts {
		if v != notHere {
			all += n
		}
	}
	text := fmt.Sprintf("%d of %d equal", counts[equal], all)
	for _, v := range []verdict{different, notBuilt, notHere} {
		if counts[v] > 0 {
			text += fmt.Sprintf(", %d %s", counts[v], v)
		}
	}
	return text
}
