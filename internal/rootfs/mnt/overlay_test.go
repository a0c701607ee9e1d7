package mnt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inMountNamespace gives the test mounts of its own.
func inMountNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread and its namespace end with the test
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
}

// layers returns an overlay of n directories, each with a file of its own.
func layers(t *testing.T, n int) Overlay {
	t.Helper()
	dir := t.TempDir()
	o := Overlay{Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work")}
	for i := range n {
		// Names that would be separators in an option string.
		o.Lower = append(o.Lower, filepath.Join(dir, fmt.Sprintf("a:b,c\\%d", i)))
	}
	for _, path := range append([]string{o.Upper, o.Work}, o.Lower...) {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, path := range o.Lower {
		if err := os.WriteFile(filepath.Join(path, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "top"), []byte(fmt.Sprint(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestMountManyLayers(t *testing.T) {
	inMountNamespace(t)
	for name, mount := range map[string]struct {
		layers int
		mount  func(Overlay, string) error
	}{
		"new interface": {MaxLower(), Overlay.Mount},
		"mount(2)": {pageMaxLower, func(o Overlay, target string) error {
			var dirs dirs
			defer dirs.close()
			named, err := o.byDescriptor(&dirs)
			if err != nil {
				return err
			}
			return named.mountOld(target)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				t.Skip(err)
			}
			target := t.TempDir()
			if err := mount.mount(layers(t, mount.layers), target); err != nil {
				t.Fatal(err)
			}
			unmountAtEnd(t, target)
			list, err := os.ReadDir(target)
			if err != nil || len(list) != mount.layers+1 {
				t.Errorf("%d files are seen, %v; want %d", len(list), err, mount.layers+1)
			}
			top, err := os.ReadFile(filepath.Join(target, "top"))
			if want := fmt.Sprint(mount.layers - 1); err != nil || string(top) != want {
				t.Errorf("the topmost layer is %s, %v; want %s", top, err, want)
			}
		})
	}
}

func TestMountErrorNamesTheDirectory(t *testing.T) {
	inMountNamespace(t)
	dir := t.TempDir()
	if err := layers(t, 2).Mount(dir); err != nil {
		t.Fatal(err)
	}
	unmountAtEnd(t, dir)
	o := layers(t, 2)
	o.Upper = dir // overlayfs does not write to an overlay
	err := o.Mount(t.TempDir())
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "on "+dir+" not supported as upperdir") {
		t.Errorf("the error is %v", err)
	}
}

func unmountAtEnd(t *testing.T, path string) {
	t.Helper()
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestReadOnlyHoldsBelow(t *testing.T) {
	inMountNamespace(t)
	source, target := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(source, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", filepath.Join(source, "below"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	unmountAtEnd(t, filepath.Join(source, "below"))
	if err := Bind(source, target, true); err != nil {
		t.Fatal(err)
	}
	unmountAtEnd(t, target)
	if err := ReadOnly(target); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{target, filepath.Join(target, "below")} {
		if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("writing to %s gives %v", dir, err)
		}
	}
	if err := remountReadOnly(target); err != nil {
		t.Error(err)
	}
}
