package overlay

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs/scan"
)

// newStack stacks dirs, the lowest first.
func (e *Engine) newStack(dirs []*layerDir) (*stack, error) {
	s := &stack{userXattr: e.options.UserXattr}
	return s, e.push(s, dirs...)
}

// push puts dirs on top of s, with a skeleton over them if they need one, and
// merges the lowest directories if there are more than the kernel takes.
func (e *Engine) push(s *stack, dirs ...*layerDir) error {
	s.add(dirs)
	wrong, err := s.wrong(dirs)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		skeleton, err := e.skeleton(s, wrong)
		if err != nil {
			return fmt.Errorf("correct implied directories: %w", err)
		}
		s.dirs = append(s.dirs, skeleton)
	}
	return e.fit(s)
}

// add puts dirs on top of s. A directory that was in s already is taken out
// from where it was: overlayfs refuses to see one twice, as with the empty
// layer that many images have several times. Nothing changes by that, since
// everything a layer says is said again, and last, by its upper copy.
func (s *stack) add(dirs []*layerDir) {
	for _, d := range dirs {
		s.dirs = slices.DeleteFunc(s.dirs, func(old *layerDir) bool { return old.path == d.path })
		s.dirs = append(s.dirs, d)
	}
}

// wrong returns the directories that the stack shows with the mode or owner of
// one that only stands in, because one of dirs implies it.
func (s *stack) wrong(dirs []*layerDir) ([]string, error) {
	implied := make(map[string]bool)
	for _, d := range dirs {
		for _, rel := range d.implied {
			implied[rel] = true
		}
	}
	var wrong []string
	for rel := range implied {
		shown, meant, err := s.attributes(rel)
		if err != nil {
			return nil, err
		}
		if shown == meant {
			continue
		}
		same, err := sameAttributes(shown, meant)
		if err != nil {
			return nil, err
		}
		if !same {
			wrong = append(wrong, rel)
		}
	}
	return wrong, nil
}

// attributes returns the directory whose attributes the stack shows for rel,
// and the one whose attributes it should show: the topmost that a layer names.
// They are equal if no layer names one, and empty if rel is no directory.
func (s *stack) attributes(rel string) (shown, meant string, err error) {
	v := s.root()
	if rel != "." {
		names := strings.Split(rel, "/")
		for i, name := range names {
			if _, v, err = v.find(name, i == len(names)-1); err != nil {
				return "", "", err
			}
		}
	}
	if len(v.parts) == 0 {
		return "", "", nil
	}
	shown = v.parts[0].file()
	for _, p := range v.parts {
		if !p.dir.isImplied(p.rel) {
			return shown, p.file(), nil
		}
	}
	return shown, shown, nil
}

func sameAttributes(a, b string) (bool, error) {
	sa, err := scan.Lstat(a)
	if err != nil {
		return false, err
	}
	sb, err := scan.Lstat(b)
	if err != nil {
		return false, err
	}
	if sa.Mode != sb.Mode || sa.Uid != sb.Uid || sa.Gid != sb.Gid || sa.Mtim != sb.Mtim {
		return false, nil
	}
	return sameXattrs(a, b)
}

func sameXattrs(a, b string) (bool, error) {
	xa, err := scan.Xattrs(a)
	if err != nil {
		return false, err
	}
	xb, err := scan.Xattrs(b)
	return maps.Equal(xa, xb), err
}

// skeleton makes a layer directory that shows the directories wrong, and those
// they are in, as they are meant.
func (e *Engine) skeleton(s *stack, wrong []string) (*layerDir, error) {
	rels := make(map[string]bool)
	for _, rel := range wrong {
		for ; !rels[rel]; rel = layer.Parent(rel) {
			rels[rel] = true
		}
	}
	rels["."] = true
	d, err := e.emptyLayerDir()
	if err != nil {
		return nil, err
	}
	sorted := slices.SortedFunc(maps.Keys(rels), layer.Compare)
	if i := slices.Index(sorted, "."); i > 0 { // "." is the parent of all, whatever its place in the order
		sorted = slices.Insert(slices.Delete(sorted, i, i+1), 0, ".")
	}
	for _, rel := range sorted {
		if rel == "." {
			continue
		}
		if err := os.Mkdir(filepath.Join(d.diff(), rel), 0o700); err != nil {
			return nil, err
		}
	}
	for _, rel := range slices.Backward(sorted) { // so that the times last
		_, meant, err := s.attributes(rel)
		if err != nil {
			return nil, err
		}
		if err := copyAttributes(meant, filepath.Join(d.diff(), rel)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// emptyLayerDir makes a layer directory for this build alone.
func (e *Engine) emptyLayerDir() (*layerDir, error) {
	path, err := e.options.Store.NewLayerDir()
	if err != nil {
		return nil, err
	}
	return newLayerDir(path)
}

// copyAttributes gives the directory to the owner, mode, extended attributes
// and times of the directory from.
func copyAttributes(from, to string) error {
	st, err := scan.Lstat(from)
	if err != nil {
		return err
	}
	xattrs, err := scan.Xattrs(from)
	if err != nil {
		return err
	}
	if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: to, Err: err}
	}
	for name, value := range xattrs {
		err := unix.Lsetxattr(to, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &os.PathError{Op: "set xattr " + name + " of", Path: to, Err: err}
		}
	}
	return scan.SetTimes(to, &st)
}
