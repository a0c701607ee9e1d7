package conformance_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// contextTime is when files of contexts were last changed, unless a case says
// something else. Images show it where a time was kept.
var contextTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// A workspace is a case on disk, ready for a builder.
type workspace struct {
	dir string // holds all of it
	// context is the directory to build, dockerfile what -f is given, or ""
	// where stdin is the Dockerfile.
	context, dockerfile string
	stdin               []byte
}

// files is where the case's files are, names starting with @ included.
func (w *workspace) files() string { return filepath.Join(w.dir, "files") }

// newWorkspace writes a case's files to dir, which is new. names replaces names
// of servers in Dockerfiles. The files are owner's, if that is not nil.
func newWorkspace(c *testCase, dir string, names *strings.Replacer, owner *syscall.Credential) (*workspace, error) {
	w := &workspace{dir: dir}
	if err := mkdirAs(w.files(), 0o755); err != nil {
		return nil, err
	}
	for _, f := range c.files {
		data := f.Data
		if isDockerfile(f.Name) {
			data = []byte(names.Replace(string(data)))
		}
		if err := w.write(f.Name, data); err != nil {
			return nil, err
		}
	}
	for _, cmd := range c.commands {
		if err := w.prepare(cmd, names); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", c.file, cmd.line, err)
		}
	}
	if owner != nil {
		if err := w.give(owner); err != nil {
			return nil, err
		}
	}
	if err := w.age(c); err != nil {
		return nil, err
	}
	return w, w.choose(c)
}

// choose finds out what is built, and where its Dockerfile is.
func (w *workspace) choose(c *testCase) error {
	w.context = filepath.Join(w.files(), c.value("context"))
	w.dockerfile = filepath.Join(w.context, "Dockerfile")
	if path := c.value("dockerfile"); path != "" {
		w.dockerfile = filepath.Join(w.files(), path)
	}
	// What is not of the context moves out of it.
	reserved, err := filepath.Glob(filepath.Join(w.files(), "@*"))
	if err != nil {
		return err
	}
	for _, path := range reserved {
		moved := filepath.Join(w.dir, filepath.Base(path))
		if err := os.Rename(path, moved); err != nil {
			return err
		}
		if filepath.Base(path) == "@Dockerfile" {
			w.dockerfile = moved
		}
	}
	if err := os.Chtimes(w.files(), contextTime, contextTime); err != nil {
		return err
	}
	if c.has("stdin") {
		w.stdin, err = os.ReadFile(w.dockerfile)
		w.dockerfile = ""
	}
	return err
}

// isDockerfile reports whether a file of a case holds names of servers.
func isDockerfile(name string) bool {
	return strings.Contains(filepath.Base(name), "ockerfile") && !strings.HasSuffix(name, "ignore")
}

// mkdirAs makes a directory with a mode that does not depend on the umask.
func mkdirAs(path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// write makes a file, and the directories above it.
func (w *workspace) write(name string, data []byte) error {
	path := filepath.Join(w.files(), name)
	for dir := filepath.Dir(path); dir != w.files(); dir = filepath.Dir(dir) {
		if err := mkdirAs(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// prepare does one command, if it is one of the context.
func (w *workspace) prepare(cmd command, names *strings.Replacer) error {
	path := filepath.Join(w.files(), cmd.arg(0))
	switch cmd.name() {
	case "file":
		return w.write(cmd.arg(0), []byte(names.Replace(cmd.arg(1))))
	case "base64":
		return w.writeBase64(cmd)
	case "archive":
		return w.writeArchive(cmd)
	case "repeat":
		return appendRepeated(path, cmd, names)
	case "many":
		return w.writeMany(cmd)
	case "mkdir":
		mode := uint64(0o755)
		if cmd.arg(1) != "" {
			var err error
			if mode, err = strconv.ParseUint(cmd.arg(1), 8, 12); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		return unix.Chmod(path, uint32(mode))
	case "link":
		return os.Link(path, filepath.Join(w.files(), cmd.arg(1)))
	case "symlink":
		return os.Symlink(cmd.arg(0), filepath.Join(w.files(), cmd.arg(1)))
	case "fifo":
		return unix.Mkfifo(path, 0o644)
	case "socket":
		return writeSocket(path)
	case "char":
		var major, minor uint32
		if _, err := fmt.Sscanf(cmd.arg(1), "%d:%d", &major, &minor); err != nil {
			return err
		}
		return unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(major, minor)))
	case "size":
		size, err := strconv.ParseInt(cmd.arg(1), 10, 64)
		if err != nil {
			return err
		}
		return os.Truncate(path, size)
	case "crlf", "bom", "chop":
		return editText(cmd.name(), path)
	default:
		return w.setMetadata(cmd, path)
	}
}

// setMetadata does the commands that change what is there.
func (w *workspace) setMetadata(cmd command, path string) error {
	switch cmd.name() {
	case "chmod":
		mode, err := strconv.ParseUint(cmd.arg(0), 8, 12)
		if err != nil {
			return err
		}
		return w.each(cmd, func(p string) error { return unix.Chmod(p, uint32(mode)) })
	case "chown":
		var uid, gid int
		if _, err := fmt.Sscanf(cmd.arg(0), "%d:%d", &uid, &gid); err != nil {
			return err
		}
		return w.each(cmd, func(p string) error { return os.Lchown(p, uid, gid) })
	case "xattr":
		return unix.Lsetxattr(path, cmd.arg(1), []byte(cmd.arg(2)), 0)
	case "capability":
		return unix.Lsetxattr(path, "security.capability", []byte(netRaw), 0)
	}
	return nil
}

// netRaw is a file capability, cap_net_raw=ep, as the kernel keeps it: revision
// 2, effective; permitted and inheritable in two words each (see
// linux/capability.h, struct vfs_cap_data).
const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// each does something to all paths a command names after its first argument.
func (w *workspace) each(cmd command, do func(path string) error) error {
	for _, name := range cmd.words[2:] {
		if err := do(filepath.Join(w.files(), name)); err != nil {
			return err
		}
	}
	return nil
}

func (w *workspace) writeBase64(cmd command) error {
	var text strings.Builder
	for _, line := range cmd.body {
		text.WriteString(line.name())
	}
	data, err := base64.StdEncoding.DecodeString(text.String())
	if err != nil {
		return err
	}
	return w.write(cmd.arg(0), data)
}

func (w *workspace) writeArchive(cmd command) error {
	data, err := writeTar(cmd.body)
	if err != nil {
		return err
	}
	if data, err = compress(cmd.arg(0), data); err != nil {
		return err
	}
	return w.write(cmd.arg(0), data)
}

// appendRepeated adds a text to a file many times. In it, {n} is how often it was
// added before and {prev} is one less.
func appendRepeated(path string, cmd command, names *strings.Replacer) error {
	count, err := strconv.Atoi(cmd.arg(1))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range count {
		text := strings.NewReplacer("{n}", strconv.Itoa(i), "{prev}", strconv.Itoa(i-1)).Replace(names.Replace(cmd.arg(2)))
		if _, err := f.WriteString(text); err != nil {
			return err
		}
	}
	return nil
}

func (w *workspace) writeMany(cmd command) error {
	count, err := strconv.Atoi(cmd.arg(1))
	if err != nil {
		return err
	}
	for i := range count {
		if err := w.write(filepath.Join(cmd.arg(0), strconv.Itoa(i)), []byte(strconv.Itoa(i)+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// writeSocket makes a socket that nobody listens to. It is bound by a short
// name, as socket paths have a small limit.
func writeSocket(path string) error {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	short := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	return os.Rename(short, path)
}

// editText changes a file in ways an archive of texts cannot hold.
func editText(how, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch how {
	case "crlf":
		data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
	case "bom":
		data = append([]byte("\xef\xbb\xbf"), data...)
	case "chop":
		data = bytes.TrimSuffix(data, []byte("\n"))
	}
	return os.WriteFile(path, data, 0o644)
}

// walk does something to every file.
func (w *workspace) walk(do func(path string) error) error {
	return filepath.WalkDir(w.files(), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return do(path)
	})
}

// give changes the owner of all files that are root's, keeping their modes.
func (w *workspace) give(owner *syscall.Credential) error {
	return w.walk(func(path string) error {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if st.Uid != 0 {
			return nil
		}
		if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return nil
		}
		return unix.Chmod(path, st.Mode&0o7777) // a change of owner clears bits
	})
}

// age gives everything the time of contexts, and then the times that a case
// wants.
func (w *workspace) age(c *testCase) error {
	if err := w.walk(func(path string) error { return setTime(path, contextTime) }); err != nil {
		return err
	}
	for _, cmd := range c.find("mtime") {
		at, err := time.Parse(time.RFC3339Nano, cmd.arg(1))
		if err != nil {
			return err
		}
		if err := setTime(filepath.Join(w.files(), cmd.arg(0)), at); err != nil {
			return err
		}
	}
	return nil
}

// setTime sets the modification time of a path, not of what it links to.
func setTime(path string, at time.Time) error {
	ts, err := unix.TimeToTimespec(at)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
