package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Mounts keeps the directories of RUN --mount=type=cache below one folder:
// one folder an id, in it numbered directories and their locks. Locks are
// flock(2), so they hold between processes and vanish with them.
type Mounts struct {
	dir string
}

// NewMounts returns the cache mounts kept below dir.
func NewMounts(dir string) *Mounts { return &Mounts{dir: dir} }

// lockPoll is how often a lock that somebody else holds is tried again.
const lockPoll = 50 * time.Millisecond

// Acquire returns the directory of the cache id and holds it until release.
// sharing is that of the reference: with "shared" (also "") any number of steps
// use it at once, with "locked" one waits for the other, with "private" a second
// one gets another directory. fill is called with a new directory before anybody
// sees it.
func (m *Mounts) Acquire(ctx context.Context, id, sharing string, fill func(dir string) error) (string, func() error, error) {
	home := filepath.Join(m.dir, digest.FromString(id).Encoded())
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", nil, fmt.Errorf("make folder of cache %s: %w", id, err)
	}
	for n := 0; ; n++ {
		dir := filepath.Join(home, strconv.Itoa(n))
		lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return "", nil, fmt.Errorf("open lock of cache %s: %w", id, err)
		}
		held, err := hold(ctx, lock, sharing, dir, fill)
		if err != nil {
			return "", nil, errors.Join(fmt.Errorf("lock cache %s: %w", id, err), lock.Close())
		}
		if held {
			return dir, lock.Close, nil
		}
		if err := lock.Close(); err != nil {
			return "", nil, err
		}
	}
}

// hold takes the lock in the way sharing asks for, and sees to it that dir is
// there. It reports false if a private cache is in somebody's use.
func hold(ctx context.Context, lock *os.File, sharing, dir string, fill func(string) error) (bool, error) {
	// A new directory is filled under the exclusive lock, whatever the mode.
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := flock(ctx, lock, unix.LOCK_EX); err != nil {
			return false, err
		}
		if err := create(dir, fill); err != nil {
			return false, err
		}
	}
	switch sharing {
	case "shared", "":
		return true, flock(ctx, lock, unix.LOCK_SH)
	case "locked":
		return true, flock(ctx, lock, unix.LOCK_EX)
	case "private":
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	}
	return false, fmt.Errorf("sharing mode %q is not known", sharing)
}

// create makes dir, unless somebody else did while the lock was waited for.
func create(dir string, fill func(string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return err
	}
	if err := fill(tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return os.Rename(tmp, dir)
}

// flock waits for a lock, and stops waiting when ctx is cancelled.
func flock(ctx context.Context, f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
