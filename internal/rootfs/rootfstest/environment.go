package rootfstest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/proc"
	"github.com/kiln-build/kiln/internal/rootfs"
)

func testEnvironment(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	t.Run("devices", func(t *testing.T) { testDevices(t, b.in(t).Open()) })
	t.Run("proc and sys", func(t *testing.T) { testKernel(t, b.in(t).Open()) })
	t.Run("network files", func(t *testing.T) { testNetworkFiles(t, b.in(t)) })
	t.Run("places that are missing", func(t *testing.T) { testMissingPlaces(t, b.in(t)) })
	t.Run("network", func(t *testing.T) { testNetwork(t, b.in(t).Open()) })
	t.Run("device nodes", func(t *testing.T) { testDeviceNodes(t, b.in(t).Open()) })
}

func testDevices(t *testing.T, r *Root) {
	r.Shows("0\n4\n4", `cat /dev/null | wc -c; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c`)
	r.Shows("in\nout", `echo in | cat /dev/stdin; echo out >/dev/fd/1`)
	r.Do(`echo x >/dev/shm/x; [ -c /dev/pts/ptmx ]; [ -c /dev/tty ]; [ -c /dev/full ]; [ -c /dev/random ]; [ -d /dev/mqueue ]`)
	if _, err := r.Try(`echo x >/dev/full`); err == nil {
		t.Error("/dev/full takes what is written")
	}
	r.Do(`: <>/dev/ptmx`)
	r.Changes()
}

func testKernel(t *testing.T, r *Root) {
	r.Do(`[ -d /proc/$$/fd ]`, onlyNewProc(r))
	r.Do(`[ -e /sys/class ]; [ -e /proc/self/mountinfo ]`)
	for _, script := range []string{`echo 1 >/proc/sys/kernel/hostname`, `echo b >/proc/sysrq-trigger`, `mkdir /sys/x`} {
		if _, err := r.Try(script); err == nil {
			t.Errorf("%q works", script)
		}
	}
	r.Shows("0", `cat /proc/timer_list /proc/kcore /proc/keys 2>/dev/null | wc -c`)
	r.Changes()
}

// onlyNewProc skips the test where the /proc outside is shown.
func onlyNewProc(r *Root) func(*proc.Spec) {
	if r.Do(`cat /proc/1/cmdline | tr '\0' ' '`) != "kiln-init " {
		r.Skip("the kernel refuses a new /proc here")
	}
	return func(*proc.Spec) {}
}

func testNetworkFiles(t *testing.T, b *Bench) {
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	base := map[string]Tree{
		"missing":        nil,
		"there":          {File("etc/resolv.conf", 0o644, "old"), File("etc/hosts", 0o644, "old"), File("etc/hostname", 0o644, "old")},
		"symbolic links": {Symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"), Symlink("etc/hosts", "/nowhere/hosts")},
	}
	for name, files := range base {
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			r := b.Open(b.Layer(files...))
			r.Shows(strings.TrimRight(string(resolv), "\n"), `cat /etc/resolv.conf`)
			named := func(p *proc.Spec) { p.Hostname, p.ExtraHosts = "den", []string{"192.0.2.1 hole"} }
			r.Shows("192.0.2.1 hole", `tail -n 1 /etc/hosts`, named)
			if b.isolated() {
				r.Shows("den\nden", `hostname; cat /etc/hostname`, named)
				r.Do(`grep '^127.0.0.1.*localhost.*den' /etc/hosts`, named)
			}
			r.Do(`echo nameserver 192.0.2.2 >/etc/resolv.conf; echo 192.0.2.3 x >>/etc/hosts`) // for itself alone
			r.Changes()
		})
	}
	after, err := os.ReadFile("/etc/resolv.conf")
	if err == nil && string(after) != string(resolv) {
		t.Error("a process has changed the host's /etc/resolv.conf")
	}
}

// testMissingPlaces opens a root filesystem without any of the directories
// that something is mounted on.
func testMissingPlaces(t *testing.T, b *Bench) {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	r := b.OpenOnly(b.Layer(File("sh", 0o755, string(busybox))))
	bare := func(p *proc.Spec) {
		p.Args = []string{"/sh", "-ec", p.Args[len(p.Args)-1]}
		p.Mounts = nil
	}
	r.Do(`[ -e /proc/self ]; [ -c /dev/null ]; [ -e /sys/class ]; [ -f /etc/hosts ]`, bare)
	r.Changes()
	r.Do(`echo x >/etc/mine`, bare)
	r.Changes(`dir 755 etc`, `file 644 etc/mine "x\n"`)
}

func testNetwork(t *testing.T, r *Root) {
	host := r.Do(`readlink /proc/self/ns/net`)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if host != own {
		t.Error("a process has a network of its own by default")
	}
	none := func(p *proc.Spec) { p.Network = proc.NetworkNone }
	if !r.isolated() {
		r.refuses("--network=none", none)
		return
	}
	r.Shows("lo", `tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '`, none)
	r.Do(`ifconfig lo | grep 127.0.0.1`, none)
	if r.Do(`readlink /proc/self/ns/net`, none) == own {
		t.Error("without a network a process has the host's")
	}
}

// refuses holds that a process is not run without what it asks for.
func (r *Root) refuses(what string, asks func(*proc.Spec)) {
	r.Helper()
	_, err := r.Try(`true`, asks)
	var unsupported *rootfs.UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.What != what {
		r.Errorf("%s: the error is %v", what, err)
	}
}

func testDeviceNodes(t *testing.T, r *Root) {
	if out, err := r.Try(`mknod /zero c 1 5`); err != nil {
		t.Skipf("device nodes cannot be made here: %s", out)
	}
	r.Do(`mknod /disk b 7 300`)
	r.Changes(`block 644 disk 7:300`, `char 644 zero 1:5`)
	r.Shows("7:12c", `stat -c %t:%T /disk`)
}
