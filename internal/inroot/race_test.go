package inroot

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestADirectorySwappedForALink writes below a directory that another
// goroutine keeps swapping for a link out of the root.
func TestADirectorySwappedForALink(t *testing.T) {
	dir := tree(t, "d/sub/", "hidden/")
	outside := tree(t, "sub/")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	both(t, dir, func(t *testing.T, r *Root) {
		for _, r := range []*Root{r, r.NoFollow()} {
			stop := make(chan struct{})
			var swapper sync.WaitGroup
			swapper.Go(func() { swap(t, filepath.Join(dir, "d"), filepath.Join(dir, "link"), stop) })
			made := 0
			for range 2000 {
				// What fails, fails: the directory may be away.
				if f, err := r.Create("d/sub/file", 0o644); err == nil {
					made++
					if err := f.Close(); err != nil {
						t.Error(err)
					}
				}
				_ = r.MkdirAll("d/sub/x/y", 0o755)
				_ = r.Chmod("d/sub", 0o700)
				_ = r.Lutimes("d/sub", unix.Timespec{}, unix.Timespec{})
				_ = r.Remove("d/sub/file")
				_ = r.RemoveAll("d/sub/x")
			}
			close(stop)
			swapper.Wait()
			if made == 0 {
				t.Error("not one file was made: the test tests nothing")
			}
		}
		list, err := os.ReadDir(filepath.Join(outside, "sub"))
		if err != nil || len(list) != 0 {
			t.Errorf("outside of the root there is %v, %v", list, err)
		}
		st, err := os.Lstat(filepath.Join(outside, "sub"))
		if err != nil || st.Mode().Perm() != 0o755 || st.ModTime().Unix() == 0 {
			t.Errorf("a directory outside was changed: %v, %v", st, err)
		}
	})
}

// swap exchanges a and b until stop, and leaves them as they were.
func swap(t *testing.T, a, b string, stop chan struct{}) {
	for i := 0; ; i++ {
		if i%2 == 0 {
			select {
			case <-stop:
				return
			default:
			}
		}
		if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
			t.Errorf("swap: %v", err)
			return
		}
	}
}

// FuzzNothingOutsideChanges makes names and links as the fuzzer says, in a root
// that lies between files that must not change. Both ways to resolve names
// have to come to the same result.
func FuzzNothingOutsideChanges(f *testing.F) {
	f.Add([]byte("\x00\x01\x07\x08\x01\x01\x00\x02\x07\x00"))
	f.Add([]byte("\x01\x81\x00\x07\x02\x00\x07\x08\x03\x01\x00\x08\x05\x02\x00\x01\x08"))
	f.Fuzz(func(t *testing.T, program []byte) {
		var got [2][]string
		for i, old := range []bool{false, true} {
			base := t.TempDir()
			root := filepath.Join(base, "a", "root")
			for _, dir := range []string{root, filepath.Join(base, "a", "b"), filepath.Join(base, "etc")} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"sentinel", "a/sentinel", "a/b/sentinel", "etc/sentinel"} {
				if err := os.WriteFile(filepath.Join(base, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r, err := Open(root)
			if err != nil {
				t.Fatal(err)
			}
			r.old = old
			before := listing(t, base, root)
			perform(r, program)
			if after := listing(t, base, root); !slices.Equal(before, after) {
				t.Errorf("outside of the root was\n%q\nand is\n%q", before, after)
			}
			got[i] = listing(t, root, "")
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("the kernel made\n%q\nstep by step came\n%q", got[0], got[1])
		}
	})
}

// perform does what a program of bytes says to a root.
func perform(r *Root, program []byte) {
	next := func() byte {
		if len(program) == 0 {
			return 0
		}
		b := program[0]
		program = program[1:]
		return b
	}
	elements := []string{"a", "b", "c", "..", ".", "", "etc", "sentinel", "root"}
	name := func() string {
		b := next()
		path := ""
		if b&0x80 != 0 {
			path = "/"
		}
		for i := range b%4 + 1 {
			if i > 0 {
				path += "/"
			}
			path += elements[int(next())%len(elements)]
		}
		return path
	}
	for len(program) > 0 {
		// Whether one succeeds does not matter.
		switch next() % 10 {
		case 0:
			_ = r.MkdirAll(name(), 0o755)
		case 1:
			_ = r.Symlink(name(), name())
		case 2:
			if f, err := r.Create(name(), 0o600); err == nil {
				_ = f.Close()
			}
		case 3:
			_ = r.Link(name(), name())
		case 4:
			_ = r.Rename(name(), name())
		case 5:
			_ = r.RemoveAll(name())
		case 6:
			_ = r.Chmod(name(), 0o700)
		case 7:
			_ = r.Lutimes(name(), unix.Timespec{}, unix.Timespec{})
		case 8:
			_ = r.NoFollow().MkdirAll(name(), 0o750)
		case 9:
			if f, err := r.Open(name()); err == nil {
				_ = f.Close()
			}
		}
	}
}

// listing describes what is below dir, but for skip and what is below that.
func listing(t *testing.T, dir, skip string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == skip {
			return filepath.SkipDir
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := path[len(dir):] + " " + info.Mode().String()
		if info.ModTime().Unix() == 0 {
			line += " time 0"
		}
		if info.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
