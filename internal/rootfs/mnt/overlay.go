package mnt

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelMaxLower is OVL_MAX_STACK: more lower directories no kernel takes.
const kernelMaxLower = 500

// pageMaxLower is how many lower directories are certain to fit into the one
// page that mount(2) takes options in: "/proc/self/fd/NNN:" each, and room for
// the rest.
const pageMaxLower = 200

// Overlay describes an overlayfs.
type Overlay struct {
	// Lower holds the lower directories, the lowest first; at least one with
	// an Upper, else at least two.
	Lower []string
	// Upper and Work are empty for a read-only overlay.
	Upper, Work string
	// UserXattr keeps the marks in user.overlay.*, as a user namespace must.
	UserXattr bool
}

// MaxLower returns how many lower directories [Overlay.Mount] can take on this
// kernel. The caller needs the right to mount.
func MaxLower() int {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return pageMaxLower
	}
	defer unix.Close(fd)
	// A kernel that knows the option looks the path up. One that does not
	// refuses it (EINVAL), or, before Linux 6.5, takes whatever it is given.
	if err := unix.FsconfigSetString(fd, "lowerdir+", "/proc/self/fd/nothing"); errors.Is(err, unix.ENOENT) {
		return kernelMaxLower
	}
	return pageMaxLower
}

// Mount mounts the overlay on target.
//
// Directories are opened first and named by descriptor, so that neither their
// number nor the length or characters of their names meets a limit: an option
// string of one page for mount(2), 255 bytes a value for fsconfig(2).
func (o Overlay) Mount(target string) error {
	var dirs dirs
	defer dirs.close()
	named, err := o.byDescriptor(&dirs)
	if err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	err = named.mountNew(target)
	if errors.Is(err, errOldKernel) {
		err = named.mountOld(target)
	}
	if err != nil {
		return fmt.Errorf("mount overlay: %w", &overlayError{text: dirs.unname(err.Error()), err: err})
	}
	return nil
}

// overlayError is an error with the directories' own names in its text.
type overlayError struct {
	text string
	err  error
}

func (e *overlayError) Error() string { return e.text }
func (e *overlayError) Unwrap() error { return e.err }

// dirs are directories held open so that they have a name in /proc/self/fd.
type dirs []*os.File

func (d *dirs) name(path string) (string, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	*d = append(*d, f)
	return descriptorName(f), nil
}

func descriptorName(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// unname puts the directories' own names in a text that has their descriptors.
func (d *dirs) unname(text string) string {
	var names []string
	for _, f := range slices.Backward(*d) { // longer numbers first: /10 before /1
		names = append(names, descriptorName(f), f.Name())
	}
	return strings.NewReplacer(names...).Replace(text)
}

func (d *dirs) close() {
	for _, f := range *d {
		_ = f.Close() // opened with O_PATH: there is nothing to lose
	}
}

func (o Overlay) byDescriptor(open *dirs) (Overlay, error) {
	named := Overlay{UserXattr: o.UserXattr, Lower: make([]string, len(o.Lower))}
	var err error
	for i, path := range o.Lower {
		if named.Lower[i], err = open.name(path); err != nil {
			return Overlay{}, err
		}
	}
	if o.Upper == "" {
		return named, nil
	}
	if named.Upper, err = open.name(o.Upper); err != nil {
		return Overlay{}, err
	}
	named.Work, err = open.name(o.Work)
	return named, err
}

type option struct{ key, value string }

// options returns what is neither a directory nor a flag.
//
// What overlayfs could record beside the files stays off, whatever the
// kernel's defaults: an upper directory becomes a lower one, is read as a plain
// directory and is kept for other builds, so every file in it has to be whole
// (metacopy, redirect_dir) and nothing may refer to the overlay it came from
// (index, xino, nfs_export).
func (o Overlay) options() []option {
	return []option{
		{"index", "off"}, {"metacopy", "off"}, {"nfs_export", "off"},
		{"redirect_dir", "nofollow"}, {"xino", "off"},
	}
}

// flags returns the options without a value. volatile spares every sync of
// the upper directory: what is in it is only trusted by a later build once it
// was read back as a layer.
func (o Overlay) flags() []string {
	var flags []string
	if o.UserXattr {
		flags = append(flags, "userxattr")
	}
	if o.Upper != "" {
		flags = append(flags, "volatile")
	}
	return flags
}

// errOldKernel says that overlayfs has to be mounted through mount(2).
var errOldKernel = errors.New("overlayfs does not know fsconfig(2) well enough")

// mountNew mounts through fsopen(2) and its family (Linux 5.2; lowerdir+ 6.5).
func (o Overlay) mountNew(target string) error {
	if MaxLower() == pageMaxLower {
		return errOldKernel
	}
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fd)
	if err := o.configure(fd); err != nil {
		return fmt.Errorf("%w%s", err, kernelLog(fd))
	}
	mounted, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("fsmount: %w%s", err, kernelLog(fd))
	}
	defer unix.Close(mounted)
	if err := unix.MoveMount(mounted, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount to %s: %w", target, err)
	}
	return nil
}

func (o Overlay) configure(fd int) error {
	set := func(key, value string) error {
		if err := unix.FsconfigSetString(fd, key, value); err != nil {
			return fmt.Errorf("set %s=%s: %w", key, value, err)
		}
		return nil
	}
	if err := set("source", "overlay"); err != nil {
		return err
	}
	for _, dir := range slices.Backward(o.Lower) { // the topmost first
		if err := set("lowerdir+", dir); err != nil {
			return err
		}
	}
	options := o.options()
	if o.Upper != "" {
		options = append(options, option{"upperdir", o.Upper}, option{"workdir", o.Work})
	}
	for _, option := range options {
		if err := set(option.key, option.value); err != nil {
			return err
		}
	}
	for _, flag := range o.flags() {
		if err := unix.FsconfigSetFlag(fd, flag); err != nil {
			return fmt.Errorf("set %s: %w", flag, err)
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

// kernelLog returns what the kernel has to say about a failed configuration.
func kernelLog(fd int) string {
	var said []string
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil || n <= 0 {
			break
		}
		// Each message starts with its level: "e ", "w " or "i ".
		message := strings.TrimSpace(string(buf[:n]))
		if _, text, ok := strings.Cut(message, " "); ok {
			message = text
		}
		said = append(said, message)
	}
	if len(said) == 0 {
		return ""
	}
	return " (kernel: " + strings.Join(said, "; ") + ")"
}

// mountOld mounts through mount(2), without volatile where the kernel does not
// know it (before Linux 5.10).
func (o Overlay) mountOld(target string) error {
	lower := slices.Clone(o.Lower)
	slices.Reverse(lower) // the topmost first
	values := []string{"lowerdir=" + strings.Join(lower, ":")}
	if o.Upper != "" {
		values = append(values, "upperdir="+o.Upper, "workdir="+o.Work)
	}
	for _, option := range o.options() {
		values = append(values, option.key+"="+option.value)
	}
	with := strings.Join(append(slices.Clone(values), o.flags()...), ",")
	if len(with) >= os.Getpagesize() {
		return fmt.Errorf("%d lower directories are more than mount(2) takes: %w", len(o.Lower), unix.E2BIG)
	}
	err := unix.Mount("overlay", target, "overlay", 0, with)
	if errors.Is(err, unix.EINVAL) && o.Upper != "" && !o.UserXattr {
		err = unix.Mount("overlay", target, "overlay", 0, strings.Join(values, ","))
	}
	return err
}
