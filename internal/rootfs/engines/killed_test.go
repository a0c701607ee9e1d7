package engines_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/rootfs/engines"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
)

// The environment of the builder in TestKilled.
const (
	builderEngine = "KILN_TEST_BUILDER"
	builderMark   = "KILN_TEST_MARK"
)

// TestKilled kills a program that runs a process, with the signal that cannot
// be caught, and looks for what it leaves.
func TestKilled(t *testing.T) {
	for _, name := range engines.Names() {
		t.Run(name, func(t *testing.T) {
			mark := rootfstest.UniqueSleep("5678")
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestBuilder$")
			cmd.Args[0] = os.Args[0]
			cmd.Env = append(os.Environ(), builderEngine+"="+name, builderMark+"="+mark, "TMPDIR="+t.TempDir())
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			n := rootfstest.Running(t, mark)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			if !strings.HasPrefix(line, "started") {
				t.Skipf("the builder says %q", line)
			}
			if n == 0 {
				t.Fatal("nothing was running")
			}
			for end := time.Now().Add(20 * time.Second); rootfstest.Running(t, mark) > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d processes are left", rootfstest.Running(t, mark))
				}
			}
		})
	}
}

// TestBuilder is the program that TestKilled kills.
func TestBuilder(t *testing.T) {
	name := os.Getenv(builderEngine)
	if name == "" {
		t.Skip("is run by TestKilled")
	}
	rootfstest.NewBench(t, named(name)).Open().RunDaemons(os.Getenv(builderMark))
}
