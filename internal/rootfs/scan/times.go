package scan

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// SetTimes gives path, which is not followed, the times in st.
func SetTimes(path string, st *unix.Stat_t) error {
	err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &os.PathError{Op: "set times of", Path: path, Err: err}
	}
	return nil
}

// KeepTimes calls change and gives dir its times back afterwards: what kiln
// itself adds or takes away is no change of the image.
func KeepTimes(dir string, change func() error) error {
	st, err := Lstat(dir)
	if err != nil {
		return err
	}
	return errors.Join(change(), SetTimes(dir, &st))
}
