package userns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// way is one way to map the ids of a user namespace.
type way struct {
	name string
	// write maps the ids of the process pid.
	write func(pid int) error
}

// waysToMap returns the ways there are, the one with the most ids first.
func waysToMap() []way {
	var ways []way
	if may, err := hasCapabilities(unix.CAP_SETUID, unix.CAP_SETGID); err == nil && may {
		ways = append(ways, way{"all ids of this namespace", mapAll})
	}
	return append(ways,
		way{"newuidmap and the ranges of /etc/subuid and /etc/subgid", mapRanges},
		way{"a single id", mapSingle},
	)
}

// mapAll gives the namespace all ids that there are outside. A process that may
// become any user, such as root in a container, can do it itself.
func mapAll(pid int) error {
	for _, kind := range []string{"uid", "gid"} {
		ids, err := user.ParseIDMapFile("/proc/self/" + kind + "_map")
		if err != nil {
			return err
		}
		var lines strings.Builder
		for _, r := range ids {
			fmt.Fprintf(&lines, "%d %d %d\n", r.ID, r.ID, r.Count)
		}
		if err := writeMap(pid, kind, lines.String()); err != nil {
			return err
		}
	}
	return nil
}

// mapSingle makes the user the only one there is.
func mapSingle(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/setgroups", pid), []byte("deny"), 0); err != nil {
		return err
	}
	if err := writeMap(pid, "uid", fmt.Sprintf("0 %d 1\n", os.Geteuid())); err != nil {
		return err
	}
	return writeMap(pid, "gid", fmt.Sprintf("0 %d 1\n", os.Getegid()))
}

func writeMap(pid int, kind, lines string) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/%s_map", pid, kind), []byte(lines), 0)
}

// mapRanges makes the user root, and gives the namespace the ids that the
// system's administrator has put at the user's disposal.
func mapRanges(pid int) error {
	ranges := []struct {
		tool, file string
		self       int
	}{
		{"newuidmap", "/etc/subuid", os.Geteuid()},
		{"newgidmap", "/etc/subgid", os.Getegid()},
	}
	for _, r := range ranges {
		subIDs, err := subordinate(r.file)
		if err != nil {
			return err
		}
		if err := runMapTool(r.tool, pid, r.self, subIDs); err != nil {
			return err
		}
	}
	return nil
}

// subordinate returns the ranges that file has for this user, by name or id.
func subordinate(file string) ([]user.SubID, error) {
	uid := strconv.Itoa(os.Geteuid())
	name := uid
	if u, err := user.LookupUid(os.Geteuid()); err == nil {
		name = u.Name
	}
	ranges, err := user.ParseSubIDFileFilter(file, func(s user.SubID) bool { return s.Name == name || s.Name == uid })
	if err != nil {
		return nil, err
	}
	if len(ranges) == 0 {
		return nil, fmt.Errorf("%s has no range for user %s", file, name)
	}
	return ranges, nil
}

func runMapTool(tool string, pid, self int, ranges []user.SubID) error {
	args := []string{strconv.Itoa(pid), "0", strconv.Itoa(self), "1"}
	next := int64(1)
	for _, r := range ranges {
		args = append(args, strconv.FormatInt(next, 10), strconv.FormatInt(r.SubID, 10), strconv.FormatInt(r.Count, 10))
		next += r.Count
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not installed (package uidmap)", tool)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", tool, err, bytes.TrimSpace(out))
	}
	return nil
}
