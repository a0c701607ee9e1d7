package inplace

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// NotInContainer is what kaniko's executor says where it refuses to take apart
// what may be somebody's machine. People search for the sentence.
const NotInContainer = "kaniko should only be run inside of a container, run with the --force flag if you are sure you want to continue"

// Container returns what shows that kiln runs in a container, "" if nothing
// does. It looks below root, which is "/".
//
// Each runtime leaves something else. Docker and podman make a file; podman,
// systemd and LXC set $container; Kubernetes tells where its API is. Where
// there is none of these, cgroup v1 has a path that names the runtime, and under
// cgroup v2, which hides that path, the runtime's own directories are what
// /etc/hosts and its like are mounted from. gVisor is known by its kernel.
func Container(root string, getenv func(string) string) string {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Lstat(filepath.Join(root, file)); err == nil {
			return file
		}
	}
	for _, name := range []string{"container", "KUBERNETES_SERVICE_HOST"} {
		if getenv(name) != "" {
			return "$" + name
		}
	}
	for _, look := range []func(string) string{firstProcess, controlGroups, mountedFiles, gvisor} {
		if found := look(root); found != "" {
			return found
		}
	}
	return ""
}

// firstProcess looks for $container of PID 1: a shell in between may have
// cleared the environment.
func firstProcess(root string) string {
	env, err := os.ReadFile(filepath.Join(root, "proc/1/environ"))
	if err != nil {
		return ""
	}
	for kv := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(kv, []byte("container=")); ok && len(value) > 0 {
			return "$container of PID 1"
		}
	}
	return ""
}

// controlGroups looks for the path that a runtime has put this process in.
func controlGroups(root string) string {
	runtimes := []string{"docker", "kubepods", "containerd", "crio-", "libpod", "lxc", "buildkit", "garden", "/ecs/", "actions_job", "rkt"}
	for _, file := range []string{"proc/self/cgroup", "proc/1/cgroup"} {
		groups, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(groups)) {
			_, path, _ := strings.Cut(strings.TrimSpace(line), ":/")
			path = "/" + path
			if slices.ContainsFunc(runtimes, func(name string) bool { return isInContainersGroup(path, name) }) {
				return "/" + file
			}
		}
	}
	return ""
}

// isInContainersGroup reports whether a path is that of a container, and not
// that of the runtime's own service.
func isInContainersGroup(path, runtime string) bool {
	return strings.Contains(path, runtime) && !strings.HasSuffix(path, ".service")
}

// mountedFiles looks where the files of the network come from.
func mountedFiles(root string) string {
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !slices.Contains([]string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}, fields[4]) {
			continue
		}
		for _, dir := range []string{"/containers/", "/pods/", "/sandboxes/", "/overlay-containers/", "/buildkit/"} {
			if strings.Contains(fields[3], dir) {
				return "what is mounted on " + fields[4]
			}
		}
	}
	return ""
}

// gvisor looks for a kernel that is a program.
func gvisor(root string) string {
	version, err := os.ReadFile(filepath.Join(root, "proc/version"))
	if err == nil && strings.Contains(strings.ToLower(string(version)), "gvisor") {
		return "/proc/version"
	}
	const readAll = 3 // SYSLOG_ACTION_READ_ALL of syslog(2)
	log := make([]byte, 64<<10)
	n, err := unix.Klogctl(readAll, log)
	if err == nil && n > 0 && bytes.Contains(log[:n], []byte("Starting gVisor")) {
		return "the kernel's log"
	}
	return ""
}
