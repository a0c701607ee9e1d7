package namespaces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// maxAccounts bounds how much of an image's /etc/passwd and /etc/group is
// read; real ones have kilobytes.
const maxAccounts = 32 << 20

// account is who the process runs as.
type account struct {
	uid, gid uint32
	groups   []uint32
	home     string
	// keepGroups says that this user namespace does not let groups be set.
	keepGroups bool
}

// findAccount looks up "name|uid[:group|gid]" in the root's own files. It is
// called inside the root.
func findAccount(spec string) (account, error) {
	passwd, err := readAccounts("/etc/passwd")
	if err != nil {
		return account{}, err
	}
	group, err := readAccounts("/etc/group")
	if err != nil {
		return account{}, err
	}
	defaults := &user.ExecUser{Home: "/"}
	found, err := user.GetExecUser(spec, defaults, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return account{}, fmt.Errorf("user %q: %w", spec, err)
	}
	a := account{uid: uint32(found.Uid), gid: uint32(found.Gid), home: found.Home}
	for _, g := range found.Sgids {
		a.groups = append(a.groups, uint32(g))
	}
	return a, a.checkMapped()
}

// readAccounts returns the content of a file, nothing if there is none. What
// is no regular file is not read: a FIFO would block.
func readAccounts(path string) (_ []byte, err error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, maxAccounts))
}

// checkMapped refuses ids that this user namespace does not have, and drops
// the groups that it does not let us set.
func (a *account) checkMapped() error {
	uids, err := user.ParseIDMapFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("read uid map: %w", err)
	}
	gids, err := user.ParseIDMapFile("/proc/self/gid_map")
	if err != nil {
		return fmt.Errorf("read gid map: %w", err)
	}
	const hint = "this user namespace; give the user running kiln a range in /etc/subuid and /etc/subgid and install newuidmap (package uidmap)"
	if !isMapped(uids, a.uid) {
		return fmt.Errorf("uid %d does not exist in %s", a.uid, hint)
	}
	if !isMapped(gids, a.gid) {
		return fmt.Errorf("gid %d does not exist in %s", a.gid, hint)
	}
	setgroups, err := os.ReadFile("/proc/self/setgroups")
	if err == nil && strings.TrimSpace(string(setgroups)) == "deny" {
		a.keepGroups, a.groups = true, nil
	}
	a.groups = slices.DeleteFunc(a.groups, func(g uint32) bool { return !isMapped(gids, g) })
	return nil
}

func isMapped(ids []user.IDMap, id uint32) bool {
	if id == math.MaxUint32 {
		return false // "no change" to the kernel
	}
	return slices.ContainsFunc(ids, func(m user.IDMap) bool {
		return int64(id) >= m.ID && int64(id) < m.ID+m.Count
	})
}
