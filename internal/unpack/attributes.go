package unpack

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

func (u *unpacker) checkOwner(e layer.Entry) error {
	if u.options.SingleID && (e.UID != 0 || e.GID != 0) {
		return fmt.Errorf("chown to %d:%d is not possible with a single id; "+
			"install the package uidmap and give the user a range in /etc/subuid and /etc/subgid", e.UID, e.GID)
	}
	return nil
}

func (u *unpacker) chown(dir *inroot.Dir, name string, e layer.Entry) error {
	if u.options.SingleID {
		return nil // checkOwner has seen that it is 0:0
	}
	err := dir.Lchown(name, e.UID, e.GID)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: the user namespace has no such id as %d:%d; give the user a larger range in /etc/subuid and /etc/subgid", err, e.UID, e.GID)
	}
	return err
}

// setXattrs sets the extended attributes of e.
func (u *unpacker) setXattrs(dir *inroot.Dir, name string, e layer.Entry) error {
	for attr, value := range e.Xattrs {
		if isForeign(attr) {
			u.skipped(e.Path, fmt.Errorf("extended attribute %s is not for images", attr))
			continue
		}
		err := dir.Lsetxattr(name, attr, value)
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM) && attr != "security.capability":
			// The file system has none of this kind; or user.* is set on what
			// is neither a file nor a directory; or a user namespace may not
			// set labels of the host's security module.
			u.skipped(e.Path, err)
		default:
			return err
		}
	}
	return nil
}

// isForeign reports whether an extended attribute is none of a layer's
// business: those of the host's administrator, and those that would tell
// overlayfs where to look for files.
func isForeign(attr string) bool {
	return strings.HasPrefix(attr, "trusted.") || strings.HasPrefix(attr, "user.overlay.")
}

// dropXattrs removes the extended attributes of a directory that was there
// before and that e does not have, as overlayfs shows only those of e. What
// the host's security module has put there stays.
func (u *unpacker) dropXattrs(dir *inroot.Dir, name string, e layer.Entry) error {
	attrs, err := dir.Llistxattr(name)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, attr := range attrs {
		if _, has := e.Xattrs[attr]; has || isForeign(attr) || attr == "security.selinux" {
			continue
		}
		if err := dir.Lremovexattr(name, attr); err != nil {
			return err
		}
	}
	return nil
}

// timespec is t for the kernel; a time that is not known is the epoch.
func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{}
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}
