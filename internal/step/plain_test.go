package step_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/kiln-build/kiln/internal/buildcontext"
)

// TestChainsOfCopiesEqualPlainCopying does random chains of COPY twice: here,
// and with a plain recursive copy between directories on disk.
func TestChainsOfCopiesEqualPlainCopying(t *testing.T) {
	for seed := range 150 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			src, dest := t.TempDir(), t.TempDir()
			randomTree(t, r, src, 3)
			shown, err := buildcontext.Open(src, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer shown.Close()
			got, c := newImage(t), copier(t)
			var done []string
			for _, line := range randomCopies(r, pathsIn(t, src)) {
				line = strings.NewReplacer("--from=context", "", "--chown=1:2", "", "--chown=3", "").Replace(line)
				before := got.Tree
				err := got.copyLine(t, c, line, shown)
				plain := plainCopy{src: src, dest: dest}.line(line)
				if (err == nil) != (plain == nil) {
					t.Fatalf("%s\nthen %s: error %v, by plain copying %v", strings.Join(done, "\n"), line, err, plain)
				}
				if err != nil {
					got.Tree = before
					dest = replay(t, src, done) // a plain copy that fails leaves a half
					break
				}
				done = append(done, line)
			}
			want, err := buildcontext.Open(dest, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			if diff := difference(flatten(t, got), flatten(t, want)); diff != "" {
				t.Errorf("%s\n%s", strings.Join(done, "\n"), diff)
			}
		})
	}
}

// replay does lines in a new directory.
func replay(t *testing.T, src string, lines []string) string {
	t.Helper()
	p := plainCopy{src: src, dest: t.TempDir()}
	for _, line := range lines {
		if err := p.line(line); err != nil {
			t.Fatal(err)
		}
	}
	return p.dest
}

// plainCopy copies between two directories, the way one would write it without
// a thought of layers.
type plainCopy struct {
	src, dest string
	inodes    map[uint64]string
}

func (p plainCopy) line(line string) error {
	op := parseCopy(line)
	for _, source := range op.Sources {
		matches := []string{filepath.Join("/", source.Path)}
		if strings.ContainsAny(source.Path, "*?[") {
			matches = nil
			found, err := filepath.Glob(filepath.Join(p.src, source.Path))
			if err != nil {
				return err
			}
			for _, path := range found {
				// Unlike the shell's, the pattern's stars go through no links.
				if throughLink(p.src, path) {
					continue
				}
				matches = append(matches, strings.TrimPrefix(path, p.src))
			}
		}
		for _, match := range matches {
			p.inodes = make(map[uint64]string)
			if err := p.one(match, op.Dest); err != nil {
				return err
			}
		}
	}
	return nil
}

func throughLink(root, path string) bool {
	for dir := filepath.Dir(path); dir != root; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err != nil || info.Mode()&os.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func (p plainCopy) one(match, dest string) error {
	from, err := resolveIn(p.src, match)
	if err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	to, err := resolveIn(p.dest, dest)
	if err != nil {
		return err
	}
	existing, statErr := os.Lstat(to)
	if statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
		return statErr
	}
	isDir := statErr == nil && existing.IsDir()
	switch {
	case info.IsDir(), strings.HasSuffix(dest, "/"):
		if err := makeDirs(to); err != nil {
			return err
		}
	case !isDir:
		if err := makeDirs(filepath.Dir(to)); err != nil {
			return err
		}
	}
	if info.IsDir() {
		return p.contents(from, to)
	}
	if isDir || strings.HasSuffix(dest, "/") {
		to = filepath.Join(to, filepath.Base(match))
	}
	return p.file(from, to, info)
}

// resolveIn follows all links, and fails where the way leads through a file.
func resolveIn(root, path string) (string, error) {
	resolved, err := securejoin.SecureJoin(root, path)
	if err != nil {
		return "", err
	}
	for dir := filepath.Dir(resolved); len(dir) > len(root); dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			return "", syscall.ENOTDIR
		}
	}
	return resolved, nil
}

func makeDirs(dir string) error {
	if info, err := os.Lstat(dir); err == nil {
		if !info.IsDir() {
			return syscall.ENOTDIR
		}
		return nil
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	return errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755))
}

func (p plainCopy) contents(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		from, to := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if !info.IsDir() {
			if err := p.file(from, to, info); err != nil {
				return err
			}
			continue
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			if old, statErr := os.Lstat(to); statErr != nil || !old.IsDir() {
				return err
			}
		}
		if err := errors.Join(os.Chmod(to, info.Mode()), p.contents(from, to)); err != nil {
			return err
		}
	}
	return nil
}

func (p plainCopy) file(from, to string, info fs.FileInfo) error {
	if old, err := os.Lstat(to); err == nil {
		if old.IsDir() {
			return syscall.EISDIR
		}
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	if first, ok := p.inodes[inode]; ok {
		return os.Link(first, to)
	}
	p.inodes[inode] = to
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, content, 0o600), os.Chmod(to, info.Mode()), os.Chtimes(to, info.ModTime(), info.ModTime()))
}
