package overlay_test

import (
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/namespaces"
	"github.com/kiln-build/kiln/internal/rootfs/overlay"
	"github.com/kiln-build/kiln/internal/rootfs/rootfstest"
	"github.com/kiln-build/kiln/internal/store"
)

func TestMain(m *testing.M) {
	if code, ok := rootfstest.Main(os.Args); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func newEngine(t testing.TB, s *store.Store) rootfs.Engine {
	return overlay.New(overlay.Options{Store: s, Isolation: namespaces.New(s), Unpack: tmpUnpack})
}

func TestEngine(t *testing.T) { rootfstest.Run(t, newEngine) }

func tmpUnpack(ctx context.Context, dir string, changes iter.Seq2[layer.Change, error]) error {
	times := map[string]layer.Entry{}
	for c, err := range changes {
		if err != nil {
			return err
		}
		p := filepath.Join(dir, c.Path)
		os.MkdirAll(filepath.Dir(p), 0o755)
		switch c.Type {
		case layer.Whiteout:
			if err := unix.Mknod(p, unix.S_IFCHR, 0); err != nil {
				return err
			}
			continue
		case layer.Opaque:
			os.MkdirAll(p, 0o755)
			if err := unix.Setxattr(p, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
				return err
			}
			continue
		case layer.Dir:
			os.MkdirAll(p, 0o755)
			times[p] = c.Entry
		case layer.Regular:
			f, err := os.Create(p)
			if err != nil {
				return err
			}
			if _, err := io.Copy(f, c.Reader); err != nil {
				return err
			}
			f.Close()
		case layer.Symlink:
			if err := os.Symlink(c.Linkname, p); err != nil {
				return err
			}
		case layer.Link:
			if err := os.Link(filepath.Join(dir, c.Linkname), p); err != nil {
				return err
			}
			continue
		case layer.Fifo:
			unix.Mkfifo(p, 0o644)
		case layer.Char:
			unix.Mknod(p, unix.S_IFCHR|c.Mode, int(unix.Mkdev(c.Major, c.Minor)))
		case layer.Block:
			unix.Mknod(p, unix.S_IFBLK|c.Mode, int(unix.Mkdev(c.Major, c.Minor)))
		}
		if err := os.Lchown(p, int(c.UID), int(c.GID)); err != nil {
			return err
		}
		if c.Type != layer.Symlink {
			unix.Chmod(p, c.Mode)
		}
		for k, v := range c.Xattrs {
			unix.Lsetxattr(p, k, []byte(v), 0)
		}
		ts := unix.NsecToTimespec(c.ModTime.UnixNano())
		unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	for p, c := range times {
		ts := unix.NsecToTimespec(c.ModTime.UnixNano())
		unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}
