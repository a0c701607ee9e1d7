package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/proc"
)

// defaultPath is docker's PATH for images that set none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// execute runs the process in the root and returns how it ended.
func (s *setup) execute() (*exit, error) {
	who, err := findAccount(s.User)
	if err != nil {
		return nil, err
	}
	if err := enterDir(s.Dir); err != nil {
		return nil, err
	}
	env := s.Env
	if _, ok := lookupEnv(env, "HOME"); !ok {
		env = append(env, "HOME="+who.home)
	}
	path, failed := findCommand(s.Args[0], env)
	if failed != nil {
		return failed, nil
	}
	if err := giveOutput(who); err != nil {
		return nil, err
	}
	pid, err := s.launch(path, env, who)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return notExecuted(path, errno), nil
	}
	if err != nil {
		return nil, err
	}
	return reap(pid)
}

// giveOutput makes the pipes of stdout and stderr the user's, who could not open
// /dev/stdout otherwise. A terminal or a file is not ours to give.
func giveOutput(who account) error {
	for fd := 1; fd <= 2; fd++ {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("stat output: %w", err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue
		}
		if err := unix.Fchown(fd, int(who.uid), int(who.gid)); err != nil && !isRefused(err) {
			return fmt.Errorf("give output to user: %w", err)
		}
	}
	return nil
}

// enterDir makes dir, if need be, and the working directory.
func enterDir(dir string) error {
	if dir == "" {
		dir = "/"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make working directory: %w", err)
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("enter working directory %s: %w", dir, err)
	}
	// A name like /proc/self/fd/7 could lead out if a descriptor of the host
	// were open (CVE-2024-21626); the kernel names such a place "(unreachable)".
	if wd, err := unix.Getwd(); err != nil || !filepath.IsAbs(wd) {
		return fmt.Errorf("enter working directory %s: it is outside the root (%q, %v)", dir, wd, err)
	}
	return nil
}

func lookupEnv(env []string, key string) (value string, ok bool) {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == key {
			value, ok = v, true
		}
	}
	return value, ok
}

// findCommand looks name up in PATH, from the working directory.
func findCommand(name string, env []string) (path string, failed *exit) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	dirs, ok := lookupEnv(env, "PATH")
	if !ok {
		dirs = defaultPath
	}
	for _, dir := range filepath.SplitList(dirs) {
		candidate := filepath.Join(dir, name)
		if !filepath.IsAbs(candidate) {
			candidate = "./" + candidate
		}
		info, err := os.Stat(candidate)
		if err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", &exit{Code: proc.CodeNotFound, Reason: fmt.Sprintf("exec %q: executable file not found in PATH", name)}
}

// launch starts the process from a thread of its own, which gives up its
// capabilities first: they are a matter of threads, and PID 1 needs its own
// until the end. A syscall.Errno is why it could not be executed.
func (s *setup) launch(path string, env []string, who account) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends here
		if !s.Privileged {
			if err = dropCapabilities(); err != nil {
				return
			}
		}
		unix.Umask(0o022)
		pid, err = syscall.ForkExec(path, s.Args, &syscall.ProcAttr{
			Env:   env,
			Files: []uintptr{0, 1, 2},
			Sys: &syscall.SysProcAttr{
				// A signal to the process group 0 stops at PID 1.
				Setsid: true,
				Credential: &syscall.Credential{
					Uid: who.uid, Gid: who.gid, Groups: who.groups, NoSetGroups: who.keepGroups,
				},
			},
		})
		unix.Umask(0)
	}()
	<-done
	return pid, err
}

// notExecuted says, as docker would, why the kernel did not execute path.
func notExecuted(path string, errno syscall.Errno) *exit {
	switch errno {
	case unix.ENOENT:
		if _, err := os.Stat(path); err == nil {
			return &exit{Code: proc.CodeNotFound, Reason: fmt.Sprintf("exec %s: its interpreter or dynamic loader is missing", path)}
		}
		return &exit{Code: proc.CodeNotFound, Reason: fmt.Sprintf("exec %s: %v", path, errno)}
	case unix.ENOEXEC:
		return &exit{Code: proc.CodeNotExecutable, Reason: fmt.Sprintf("exec %s: %v: it is for another architecture, or a script without #!", path, errno)}
	}
	return &exit{Code: proc.CodeNotExecutable, Reason: fmt.Sprintf("exec %s: %v", path, errno)}
}
