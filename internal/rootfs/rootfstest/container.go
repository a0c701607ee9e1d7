package rootfstest

import (
	"os"
	"testing"

	"github.com/kiln-build/kiln/internal/proc"
)

// Volume is where the container of [InContainer] has a volume.
const Volume = "/volume"

// InContainer runs the tests that pattern names once more, as root of something
// like a container without a seccomp profile: docker's default capabilities,
// parts of /proc and /sys covered. They work in tmp, which is on the
// container's own file system unless it is Volume. It returns their output.
func InContainer(t *testing.T, newEngine NewEngine, tmp, pattern string) string {
	t.Helper()
	if os.Geteuid() != 0 || !isIDMapped(t, 1<<31) {
		t.Skip("is rootless already")
	}
	r := NewBench(t, newEngine).Open()
	out, err := r.Try("", args("/tests", "-test.v", "-test.run="+pattern), env("TMPDIR="+tmp), func(p *proc.Spec) {
		for _, m := range p.Mounts {
			if m.Target == toolPath {
				m.Target = "/tests"
				p.Mounts = append(p.Mounts, m)
			}
		}
	}, hostPath(Volume, t.TempDir(), false))
	t.Logf("in a container:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	return out
}
