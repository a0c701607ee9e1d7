package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// surroundings is what a build must leave as it was: the mounts that this
// process sees, and its children.
type surroundings struct {
	mounts   string
	children []int
}

func look(t *testing.T) surroundings {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return surroundings{ownMounts(string(mounts)), children(os.Getpid())}
}

// ownMounts returns the mounts in the folders of kiln that these tests make:
// others mount and unmount at the same time, on the same machine.
func ownMounts(mounts string) string {
	var own strings.Builder
	for line := range strings.Lines(mounts) {
		if strings.Contains(line, "/kiln-root") {
			own.WriteString(line)
		}
	}
	return own.String()
}

// checkNothingLeft fails if there are mounts or processes that were not there
// before. Processes that lost their parent are children of this one by now
// (see [runTests]). What was killed with its parent may take a moment to end.
func checkNothingLeft(t *testing.T, before surroundings) {
	t.Helper()
	var left []int
	for range 500 {
		left = slices.DeleteFunc(children(os.Getpid()), func(pid int) bool {
			if slices.Contains(before.children, pid) {
				return true
			}
			reaped, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
			return err == nil && reaped == pid
		})
		if len(left) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, pid := range left {
		// It may end while we look, and then has no command line.
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		t.Errorf("process %d is still running: %q", pid, args)
	}
	if after := look(t).mounts; after != before.mounts {
		t.Errorf("the mounts were\n%s\nand are\n%s", before.mounts, after)
	}
}

// children returns the ids of the processes whose parent is parent.
func children(parent int) []int {
	var pids []int
	// Each thread has its own.
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return nil
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// A memoryWatch follows the memory of a process and those it starts that run
// the same program: an ordinary user's kiln starts itself again in a user
// namespace. What runs inside a RUN is not counted.
//
// The kernel's own high-water mark is read (VmHWM), so that no peak before a
// look is missed. The maximum that wait4 reports would not do: it begins with
// the memory of the process that started kiln.
type memoryWatch struct {
	done   chan struct{}
	ended  sync.WaitGroup
	mostKB int
}

func watchMemory(pid int) *memoryWatch {
	w := &memoryWatch{done: make(chan struct{})}
	w.ended.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				w.look(pid)
			}
		}
	})
	return w
}

func (w *memoryWatch) look(pid int) {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || program != os.Getenv(binaryVariable) {
		return // it has ended, or is something else
	}
	w.mostKB = max(w.mostKB, highWater(pid))
	for _, child := range children(pid) {
		w.look(child)
	}
}

// stop ends the watch and returns the most memory seen, in KiB.
func (w *memoryWatch) stop() int {
	close(w.done)
	w.ended.Wait()
	return w.mostKB
}

// highWater returns the most memory that a process had resident at once, in
// KiB, 0 if it is gone.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, is := strings.CutPrefix(line, "VmHWM:"); is {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				return 0
			}
			return kib
		}
	}
	return 0
}
