package userns_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/rootfs/userns"
)

// TestMain makes the test binary, with KILN_TEST set, a program that enters a
// user namespace and then does what KILN_TEST says.
func TestMain(m *testing.M) {
	if err := userns.Stage(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if do := os.Getenv("KILN_TEST"); do != "" {
		os.Exit(program(do))
	}
	os.Exit(m.Run())
}

func program(do string) int {
	if userns.Needed() {
		code, err := userns.Enter()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
		return code
	}
	switch do {
	case "tell":
		uidMap, err := os.ReadFile("/proc/self/uid_map")
		if err != nil {
			return 98
		}
		fmt.Println(os.Getuid(), userns.Outside(), strings.Fields(string(uidMap)), os.Args[1:])
		if err := syscall.Mount("tmpfs", "/tmp", "tmpfs", 0, ""); err != nil {
			fmt.Println("mount:", err)
		}
	case "nowhere":
		return enterNowhere()
	case "exit":
		return 7
	case "wait":
		fmt.Println("waiting")
		time.Sleep(time.Minute)
	}
	return 0
}

// enterNowhere tries to enter a user namespace from one that may have none
// below it.
func enterNowhere() int {
	err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0)
	if err == nil {
		err = os.Unsetenv("_KILN_OUTER_UID") // as if it were in none
	}
	if err == nil {
		_, err = userns.Enter()
	}
	fmt.Println(err)
	return 0
}

// command returns the program as an ordinary user starts it.
func command(t *testing.T, do string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0], "an argument"}
	cmd.Env = []string{"KILN_TEST=" + do, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// skipWithout skips the test where there is no user namespace to be had.
func skipWithout(t *testing.T) {
	t.Helper()
	err := command(t, "true").Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 99 {
		t.Skip("user namespaces are not to be had here, see above")
	}
}

func TestEnterMakesRoot(t *testing.T) {
	skipWithout(t)
	out, err := command(t, "tell").Output()
	if err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = 65534
	}
	want := fmt.Sprintf("0 %d [0 %d 1", uid, uid)
	if got := string(out); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " [an argument]\n") {
		t.Errorf("the program in the namespace says %q, want %q", got, want)
	}
}

func TestEnterPassesOnTheStatus(t *testing.T) {
	skipWithout(t)
	err := command(t, "exit").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the program ends with %v, want status 7", err)
	}
}

func TestEnterPassesOnSignals(t *testing.T) {
	skipWithout(t)
	cmd := command(t, "wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, len("waiting\n"))); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("the program ends with %v, want status 143", err)
	}
}

func TestEnterTellsWhatItTried(t *testing.T) {
	skipWithout(t)
	out, err := command(t, "nowhere").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no user namespace can be made here", "newuidmap", "a single id", "no space left"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the error %q does not say %q", out, want)
		}
	}
}
