package unpack_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/unpack"
)

// snapshot describes all that is below dir, a line a path: type, mode, owner,
// size or device, time, content or target, extended attributes, and the first
// of its names for a file that has several.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var lines []string
	first := make(map[uint64]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o %d:%d %d.%09d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d bytes %x", st.Size, sha256.Sum256(data))
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case unix.S_IFCHR, unix.S_IFBLK:
			line += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = rel
			}
			line += " is " + first[st.Ino]
		}
		lines = append(lines, line+xattrsOf(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func setXattr(t *testing.T, path, name, value string) {
	t.Helper()
	if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil {
		t.Skipf("set %s: %v", name, err)
	}
}

func xattrsOf(t *testing.T, path string) string {
	t.Helper()
	buffer := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buffer)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimRight(string(buffer[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var all string
	for _, name := range names {
		if name == "" {
			continue
		}
		n, err := unix.Lgetxattr(path, name, buffer)
		if err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf(" %s=%q", name, buffer[:n])
	}
	return all
}

// same fails the test where two snapshots differ.
func same(t *testing.T, got, want []string) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("unexpected: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing:    %s", line)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("changing owners and making devices takes root")
	}
}

// options are those for the user who runs the test.
func options() unpack.Options { return unpack.Options{SingleID: os.Getuid() != 0} }

// apply unpacks changes into dir.
func apply(t *testing.T, dir string, changes iter.Seq2[layer.Change, error], o unpack.Options) error {
	t.Helper()
	return applyContext(t.Context(), t, dir, changes, o)
}

func applyContext(ctx context.Context, t *testing.T, dir string, changes iter.Seq2[layer.Change, error], o unpack.Options) error {
	t.Helper()
	root, err := inroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}()
	return unpack.Apply(ctx, root, changes, o)
}

// tarOf is a tar of headers, each with the content given in PAX-free form.
func tarOf(t *testing.T, entries ...*tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Uname = h.Uname, "" // see file
			h.Size = int64(len(content))
		}
		if h.ModTime.IsZero() {
			h.ModTime = when
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

var when = time.Date(2023, 4, 5, 6, 7, 8, 0, time.UTC)

func dir(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

// file is a regular file; the content travels in Uname until the tar is made.
func file(name, content string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uname: content}
}

func symlink(name, target string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}

func hardlink(name, target string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}
}

// paths lists what is below dir: "a/" for a directory, "a -> b" for a link,
// "a=content" for a file, "a!" for anything else.
func paths(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		switch {
		case e.IsDir():
			rel += "/"
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			rel += " -> " + target
		case e.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel += "=" + string(data)
		default:
			rel += "!"
		}
		list = append(list, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// madeByGNU makes a tar with GNU tar of a tree with one of everything.
func madeByGNU(t *testing.T, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("there is no GNU tar to compare with")
	}
	src := t.TempDir()
	script := `set -e
		mkdir -p bin etc/conf.d var/empty dev deep/` + strings.Repeat("dir/", 60) + `
		echo '#!/bin/sh' > bin/sh && chmod 4755 bin/sh
		ln bin/sh bin/ash && ln bin/sh deep/` + strings.Repeat("dir/", 60) + `sh
		ln -s ../etc/passwd bin/link && ln -s /nowhere etc/dangling && ln -s . self
		echo root:x:0:0 > etc/passwd && chown 12:34 etc/passwd && chmod 640 etc/passwd
		head -c 3000000 /dev/urandom > var/large
		truncate -s 5000000 var/sparse && echo end >> var/sparse
		: > var/nothing
		head -c 131072 /dev/zero > var/edge; head -c 131073 /dev/zero > var/edge1
		chown 70000:3000000 var/empty && chmod 1777 var/empty
		chmod 2555 etc/conf.d
		mknod dev/null c 1 3 && chmod 666 dev/null && mknod dev/loop b 7 0 && mkfifo -m 600 dev/pipe
		touch "$(printf 'bad\377name')" 'name with spaces' "$(printf 'new\nline')"
		touch ` + strings.Repeat("n", 200) + `
		chown -h 5:6 bin/link
		touch -d '2001-02-03 04:05:06.789' bin/sh var/large; touch -h -d '1999-01-01' bin/link
		touch -d '1960-01-01' etc; touch -d '2010-01-01' bin var/empty`
	sh := exec.Command("sh", "-c", script)
	sh.Dir = src
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("make tree: %v\n%s", err, out)
	}
	setXattr(t, filepath.Join(src, "etc/passwd"), "user.note", "hello")
	setXattr(t, filepath.Join(src, "bin/sh"), "security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00"+strings.Repeat("\x00", 12))
	archive := filepath.Join(t.TempDir(), "tree.tar")
	args := append([]string{"-C", src, "-cf", archive}, flags...)
	if out, err := exec.Command("tar", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return archive
}

func TestUnpacksAsGNUTarDoes(t *testing.T) {
	needRoot(t)
	for _, flags := range []string{
		"--format=gnu", "--format=gnu --sparse",
		"--format=pax --xattrs --xattrs-include=*", "--format=pax --sparse",
	} {
		t.Run(flags, func(t *testing.T) {
			archive := madeByGNU(t, strings.Fields(flags)...)
			want, got := t.TempDir(), t.TempDir()
			out, err := exec.Command("tar", "-C", want, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", archive).CombinedOutput()
			if err != nil {
				t.Fatalf("tar: %v\n%s", err, out)
			}
			f, err := os.Open(archive)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := apply(t, got, layer.ReadTar(f), unpack.Options{}); err != nil {
				t.Fatal(err)
			}
			same(t, snapshot(t, got), snapshot(t, want))
		})
	}
}
