package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// WaitTick waits until the clock of the file system has ticked since the
// snapshot was taken, so that no change from now on goes unnoticed. file is a
// path on the same file system that it may make and change.
//
// The file system itself is asked, as its clock may be another machine's, or
// tick once a second. Mostly nothing has changed for so long that there is
// nothing to wait for.
func (s *Snapshot) WaitTick(ctx context.Context, file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("wait for clock of file system: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(file)) }()
	now, err := clock(f)
	if err != nil || now > s.newest {
		return err
	}
	for start := now; now == start; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
		if now, err = clock(f); err != nil {
			return err
		}
	}
	return nil
}

// clock returns the time that a change is recorded with.
func clock(f *os.File) (int64, error) {
	var st unix.Statx_t
	if err := errors.Join(f.Chmod(0o600), statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, &st)); err != nil {
		return 0, fmt.Errorf("read clock of file system: %w", err)
	}
	return nanoseconds(st.Ctime), nil
}
