package rootfstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/proc"
)

func testEnd(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	t.Run("what a process leaves running", func(t *testing.T) { testLeftovers(t, b.in(t).Open()) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(t, b.in(t).Open()) })
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := b.in(t).Open()
		if err := r.FS.Run(ctx, r.spec(`true`)); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("store", func(t *testing.T) { testStoreTidy(t, b.in(t)) })
}

// RunDaemons runs, until it is killed, a process that has started others in
// every way of getting away; mark tells them from all others. It prints
// "started".
func (r *Root) RunDaemons(mark string) {
	r.Do(daemons(mark)+`echo started; wait`, func(p *proc.Spec) { p.Stdout = os.Stdout })
}

// daemons is a script that starts processes in every way of getting away; each
// sleeps for a time that tells it from all others.
func daemons(mark string) string {
	return strings.ReplaceAll(`
		sleep MARK &
		setsid sleep MARK &
		(setsid sh -c 'sleep MARK & sleep MARK' >/dev/null 2>&1 </dev/null &)
		trap '' TERM HUP INT; sleep MARK &
	`, "MARK", mark)
}

// UniqueSleep returns a number of seconds that no other test sleeps for.
func UniqueSleep(part string) string { return fmt.Sprintf("9%d.%s", os.Getpid(), part) }

// Running returns how many processes there are that RunDaemons started with
// mark.
func Running(t testing.TB, mark string) int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), "sleep\x00"+mark) {
			n++
		}
	}
	return n
}

func testLeftovers(t *testing.T, r *Root) {
	mark := UniqueSleep("4321")
	start := time.Now()
	r.Do(daemons(mark) + `exit 0`)
	if n := Running(t, mark); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if d := time.Since(start); d > long {
		t.Errorf("it took %v", d)
	}
	if _, err := r.Try(daemons(mark) + `exit 4`); err == nil || Running(t, mark) != 0 {
		t.Errorf("the error is %v; %d processes are left", err, Running(t, mark))
	}
	r.Changes()
}

func testCancelled(t *testing.T, r *Root) {
	mark := UniqueSleep("1234")
	ctx, cancel := context.WithCancelCause(within(t, long))
	reason := errors.New("enough")
	output, started := io.Pipe()
	go func() {
		_, _ = io.ReadFull(output, make([]byte, len("started")))
		cancel(reason)
		_, _ = io.Copy(io.Discard, output)
	}()
	p := r.spec(daemons(mark) + `echo started; wait`)
	p.Mounts = append(p.Mounts, proc.Mount{Target: "/m/n", Source: proc.MountSource{Path: t.TempDir()}})
	p.Stdout = started
	err := r.FS.Run(ctx, p)
	started.Close()
	if !errors.Is(err, reason) {
		t.Errorf("the error is %v, want %v", err, reason)
	}
	if n := Running(t, mark); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	r.Do(`true`) // the root filesystem can still be used
}

// testStoreTidy holds that a root filesystem leaves no scratch directories
// behind when it is closed.
func testStoreTidy(t *testing.T, b *Bench) {
	r := b.Open()
	r.Do(`echo x >/f`, hostPath("/m", t.TempDir(), false))
	r.Changes(`file 644 f "x\n"`)
	r.Do(`echo y >/f`)
	if err := r.FS.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(b.Store.Dir(), "tmp", "*", "scratch-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("left in the store: %v", left)
	}
}
