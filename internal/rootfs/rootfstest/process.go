package rootfstest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
)

func testProcess(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *Root)
	}{
		{"exit status", testExitStatus},
		{"command", testCommand},
		{"user", testUser},
		{"home", testHome},
		{"working directory", testWorkingDir},
		{"descriptors and umask", testDescriptors},
		{"capabilities", testCapabilities},
		{"output", testOutput},
		{"the program itself", testProgram},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, b.in(t).Open()) })
	}
}

// as sets the user.
func as(user string) func(*proc.Spec) { return func(p *proc.Spec) { p.User = user } }

// args sets the command line.
func args(args ...string) func(*proc.Spec) { return func(p *proc.Spec) { p.Args = args } }

// inDir sets the working directory.
func inDir(dir string) func(*proc.Spec) { return func(p *proc.Spec) { p.Dir = dir } }

// env adds to the environment.
func env(kv ...string) func(*proc.Spec) { return func(p *proc.Spec) { p.Env = append(p.Env, kv...) } }

func testExitStatus(t *testing.T, r *Root) {
	for script, want := range map[string]proc.ExitError{
		`exit 3`:        {Code: 3},
		`kill -TERM $$`: {Code: 143, Signal: "SIGTERM"},
		`kill -KILL $$`: {Code: 137, Signal: "SIGKILL"},
		`nosuchcommand`: {Code: 127},
		`kill -TERM 0`:  {Code: 143, Signal: "SIGTERM"},
	} {
		_, err := r.Try(script)
		var got *proc.ExitError
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%q ends with %v, want %v", script, err, &want)
		}
	}
	r.Do(`kill -TERM 1; kill -INT 1; kill -KILL 1; sleep 0.1`) // PID 1 is not to be had
	r.Changes()
}

func testCommand(t *testing.T, r *Root) {
	r.Do(`mkdir /opt; printf '#!/bin/sh\necho script' >/opt/script; chmod 755 /opt/script; touch /opt/plain
		printf '#!/nowhere/sh' >/opt/orphan; chmod 755 /opt/orphan; echo text >/opt/text; chmod 755 /opt/text`)
	r.Shows("script", "", args("script"), env("PATH=/nowhere:/opt:/bin"))
	r.Shows("script", "", args("./script"), inDir("/opt"))
	for _, test := range []struct {
		command string
		code    int
		reason  string
	}{
		{"nosuchcommand", 127, "not found in PATH"},
		{"/nosuchcommand", 127, "no such file"},
		{"/opt/orphan", 127, "interpreter"},
		{"/opt/plain", 126, "permission denied"},
		{"/opt", 126, "permission denied"},
		{"/opt/text", 126, "exec format error"},
	} {
		_, err := r.Try("", args(test.command))
		var got *proc.ExitError
		if !errors.As(err, &got) || got.Code != test.code || !strings.Contains(got.Reason, test.reason) {
			t.Errorf("%s: the error is %v, want %d with %q", test.command, err, test.code, test.reason)
		}
	}
}

func testUser(t *testing.T, r *Root) {
	if !hasIDs(t) {
		r.Shows("0:0", `echo $(id -u):$(id -g)`)
		if _, err := r.Try(`true`, as("12")); err == nil || !strings.Contains(err.Error(), "/etc/subuid") {
			t.Errorf("an id that does not exist gives %v, want an error that says what to install", err)
		}
		return
	}
	const who = `echo $(id -u):$(id -g) $(id -G)`
	r.Shows("0:0 0", who)
	r.Shows("12:34 34 56", who, as("fox"))
	r.Shows("12:56 56", who, as("fox:hens"))
	r.Shows("12:34 34 56", who, as("12"))
	r.Shows("4711:0 0", who, as("4711"))
	r.Shows("4711:4712 4712", who, as("4711:4712"))
	for _, user := range []string{"wolf", "fox:wolves"} {
		if _, err := r.Try(`true`, as(user)); err == nil || !strings.Contains(err.Error(), user) {
			t.Errorf("unknown user %s gives %v", user, err)
		}
	}
	r.Do(`touch /tmp/f`, as("fox"))
	if _, err := r.Try(`touch /f`, as("fox")); err == nil {
		t.Error("an ordinary user writes to /")
	}
	r.Shows("x", `echo x >/dev/stdout`, as("fox"))
}

func testHome(t *testing.T, r *Root) {
	r.Shows("/root", `echo $HOME`)
	r.Shows("/mine", `echo $HOME`, env("HOME=/mine"))
	if hasIDs(t) {
		r.Shows("/home/fox", `echo $HOME`, as("fox"))
		r.Shows("/", `echo $HOME`, as("4711"))
	}
}

func testWorkingDir(t *testing.T, r *Root) {
	r.Shows("/a/b", `pwd; touch here`, inDir("/a/b"))
	r.Changes(`dir 755 a`, `dir 755 a/b`, `file 644 a/b/here ""`)
	if _, err := r.Try(`true`, inDir("/bin/sh")); err == nil {
		t.Error("a file is a working directory")
	}
	if out, err := r.Try(`pwd; ls`, inDir("/proc/self/fd/5")); err == nil {
		t.Errorf("a descriptor is a working directory: %s", out)
	}
}

func testDescriptors(t *testing.T, r *Root) {
	inherited, err := unix.Open("/", unix.O_RDONLY, 0) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	r.Shows("0 1 2 3", `echo $(ls /proc/self/fd)`) // 3 is that of ls
	r.Shows("0022", `umask`)
	r.Shows("/dev/null", `readlink /proc/self/fd/0`)
	r.Shows("PATH=/bin\nSHLVL=1", `unset HOME PWD OLDPWD; env | sort`)
}

func testCapabilities(t *testing.T, r *Root) {
	r.Shows("00000000a80425fb", `grep CapBnd /proc/self/status | cut -f2`)
	r.Shows("00000000a80425fb", `grep CapEff /proc/self/status | cut -f2`)
	r.Shows("0000000000000000", `grep CapInh /proc/self/status | cut -f2`)
	if hasIDs(t) {
		r.Shows("0000000000000000", `grep CapEff /proc/self/status | cut -f2`, as("fox"))
	}
	if _, err := r.Try(`mount -t tmpfs none /tmp`); err == nil {
		t.Error("a process mounts")
	}
	privileged := func(p *proc.Spec) { p.Privileged = true }
	if !r.isolated() {
		r.refuses("--security=insecure", privileged)
		return
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(own), "CapBnd:\t")
	want, _, _ := strings.Cut(rest, "\n")
	r.Shows(want, `mount -t tmpfs none /tmp; grep CapBnd /proc/self/status | cut -f2`, privileged)
}

func testOutput(t *testing.T, r *Root) {
	var out, err strings.Builder
	r.Do(`echo out; echo err >&2; seq 100000`, func(p *proc.Spec) { p.Stdout, p.Stderr = &out, &err })
	if err.String() != "err\n" {
		t.Errorf("stderr is %q", err.String())
	}
	if n := strings.Count(out.String(), "\n"); n != 100001 {
		t.Errorf("%d lines on stdout, want 100001", n)
	}
	r.Do(`echo nowhere`, func(p *proc.Spec) { p.Stdout, p.Stderr = nil, nil })
}

// testProgram holds that a process which executes what it was before it became
// the command cannot get hold of the engine's program and write to it.
func testProgram(t *testing.T, r *Root) {
	if !r.isolated() {
		t.Skip("kiln's own program is in the same container")
	}
	r.Do("", args(ownFile, "readonly", ownFile))
	onlyNewProc(r)
	for _, file := range []string{"exe", "mem", "environ", "root/etc/passwd", "fd/3"} {
		out, err := r.Try(`for f in /proc/1/` + file + ` /proc/1/task/*/` + file + `; do head -c 0 "$f" && echo "$f"; done; true`)
		if err != nil || strings.Contains(out, "\n/proc") || strings.HasPrefix(out, "/proc") {
			t.Errorf("a process reaches into PID 1: %s, %v", out, err)
		}
	}
}
