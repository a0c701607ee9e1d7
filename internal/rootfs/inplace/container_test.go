package inplace_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kiln-build/kiln/internal/rootfs/inplace"
)

func TestContainer(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		env   map[string]string
		want  string
	}{
		"docker":     {files: map[string]string{".dockerenv": ""}, want: "/.dockerenv"},
		"podman":     {files: map[string]string{"run/.containerenv": ""}, want: "/run/.containerenv"},
		"systemd":    {env: map[string]string{"container": "systemd-nspawn"}, want: "$container"},
		"kubernetes": {env: map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, want: "$KUBERNETES_SERVICE_HOST"},
		"a shell without the environment": {
			files: map[string]string{"proc/1/environ": "HOME=/\x00container=podman\x00"}, want: "$container of PID 1",
		},
		"cgroup v1": {
			files: map[string]string{"proc/self/cgroup": "12:pids:/docker/0123\n1:name=systemd:/docker/0123\n"}, want: "/proc/self/cgroup",
		},
		"cgroup v1, containerd": {
			files: map[string]string{"proc/self/cgroup": "3:cpu,cpuacct:/kubepods/besteffort/pod1/0123\n"}, want: "/proc/self/cgroup",
		},
		"cgroup v2, CRI-O": {
			files: map[string]string{"proc/self/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/crio-0123.scope\n"}, want: "/proc/self/cgroup",
		},
		"cgroup v2 with a namespace, docker": {
			files: map[string]string{
				"proc/self/cgroup":    "0::/\n",
				"proc/self/mountinfo": "1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 /var/lib/docker/containers/01/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
			}, want: "what is mounted on /etc/hosts",
		},
		"cgroup v2 with a namespace, containerd": {
			files: map[string]string{
				"proc/self/cgroup":    "0::/\n",
				"proc/self/mountinfo": "2 1 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/01/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n",
			}, want: "what is mounted on /etc/resolv.conf",
		},
		"gVisor": {files: map[string]string{"proc/version": "Linux version 4.4.0 gVisor\n"}, want: "/proc/version"},
		"a machine": {
			files: map[string]string{
				"proc/self/cgroup":    "0::/user.slice/user-1000.slice/session-1.scope\n",
				"proc/1/cgroup":       "0::/init.scope\n",
				"proc/1/environ":      "HOME=/\x00TERM=linux\x00",
				"proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
				"proc/version":        "Linux version 6.12.0\n",
			},
		},
		"docker's own service": {files: map[string]string{"proc/self/cgroup": "0::/system.slice/docker.service\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, content := range test.files {
				file := filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got := inplace.Container(root, func(name string) string { return test.env[name] })
			if got != test.want {
				t.Errorf("the container shows by %q, want %q", got, test.want)
			}
		})
	}
}
