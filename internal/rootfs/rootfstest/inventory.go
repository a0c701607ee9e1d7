package rootfstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/user"
)

// inventory is what could be left behind: mounts and processes.
type inventory struct {
	mounts   []string
	children []string
}

func takeInventory(t testing.TB) inventory {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// Others mount things, too; ours would be in the directories of the test.
	test, _, _ := strings.Cut(t.Name(), "/")
	mounts := slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool {
		return !strings.Contains(line, filepath.Join(os.TempDir(), test))
	})
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, path := range tasks {
		list, err := os.ReadFile(path)
		if err == nil { // the thread may just have ended
			children = append(children, strings.Fields(string(list))...)
		}
	}
	return inventory{mounts: mounts, children: children}
}

// compare fails the test if there is more now than there was.
func (i inventory) compare(t testing.TB) {
	t.Helper()
	now := takeInventory(t)
	for _, mount := range now.mounts {
		if !slices.Contains(i.mounts, mount) {
			t.Errorf("left mounted: %s", mount)
		}
	}
	for _, pid := range now.children {
		if !slices.Contains(i.children, pid) {
			t.Errorf("left running: process %s", pid)
		}
	}
}

func isIDMapped(t testing.TB, id int64) bool {
	t.Helper()
	ids, err := user.ParseIDMapFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(ids, func(m user.IDMap) bool { return id >= m.ID && id < m.ID+m.Count })
}
