package userns

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// outerUID is the environment variable that tells the program in the user
// namespace who started it.
const outerUID = "_KILN_OUTER_UID"

// Needed reports whether this process lacks the right to mount, and with it
// what every engine starts with.
func Needed() bool {
	have, err := hasCapabilities(unix.CAP_SYS_ADMIN)
	return err == nil && !have
}

// Outside returns the id of the user who started the program: that of this
// process, or of the one that called Enter.
func Outside() int {
	if uid, err := strconv.Atoi(os.Getenv(outerUID)); err == nil {
		return uid
	}
	return os.Geteuid()
}

// hasCapabilities reports whether all of caps are in effect.
func hasCapabilities(caps ...int) (bool, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, err
	}
	for _, c := range caps {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return false, nil
		}
	}
	return true, nil
}
