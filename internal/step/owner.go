package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/moby/sys/user"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/tree"
)

// owner is who a file belongs to.
type owner struct{ uid, gid uint32 }

// maxUserFile bounds what is read of /etc/passwd and /etc/group, as in
// BuildKit.
const maxUserFile = 10 << 20

// lookupOwner finds who "user[:group]" is, each a name or a number, in the
// passwd and group files of view. A number is its own group unless one is
// given; a name brings its primary group.
func lookupOwner(ctx context.Context, view tree.View, spec string) (owner, error) {
	name, group, _ := strings.Cut(spec, ":")
	var who owner
	if id, ok := parseID(name); ok {
		who = owner{id, id}
	} else {
		var err error
		if who, err = lookupUser(ctx, view, name); err != nil {
			return owner{}, err
		}
	}
	if group == "" {
		return who, nil
	}
	if id, ok := parseID(group); ok {
		who.gid = id
		return who, nil
	}
	gid, err := lookupGroup(ctx, view, group)
	who.gid = gid
	return who, err
}

// parseID reads a number; "root" is 0 without looking, as in BuildKit.
func parseID(s string) (uint32, bool) {
	if s == "root" {
		return 0, true
	}
	id, err := strconv.ParseInt(s, 10, 32)
	return uint32(id), err == nil && id >= 0
}

// byName reports whether "user[:group]" has a name in it that must be looked up.
func byName(spec string) bool {
	name, group, _ := strings.Cut(spec, ":")
	_, userOK := parseID(name)
	_, groupOK := parseID(group)
	return !userOK || group != "" && !groupOK
}

func lookupUser(ctx context.Context, view tree.View, name string) (owner, error) {
	f, err := openUserFile(ctx, view, "etc/passwd")
	if err != nil {
		return owner{}, unknown("user", name, err)
	}
	defer f.Close()
	found, err := user.ParsePasswdFilter(f, func(u user.User) bool { return u.Name == name })
	if err != nil || len(found) == 0 {
		return owner{}, unknown("user", name, err)
	}
	return owner{uint32(found[0].Uid), uint32(found[0].Gid)}, nil
}

func lookupGroup(ctx context.Context, view tree.View, name string) (uint32, error) {
	f, err := openUserFile(ctx, view, "etc/group")
	if err != nil {
		return 0, unknown("group", name, err)
	}
	defer f.Close()
	found, err := user.ParseGroupFilter(f, func(g user.Group) bool { return g.Name == name })
	if err != nil || len(found) == 0 {
		return 0, unknown("group", name, err)
	}
	return uint32(found[0].Gid), nil
}

// unknown is the error for a name that is not there; err says why, if that is
// another reason than that.
func unknown(kind, name string, err error) error {
	file := map[string]string{"user": "/etc/passwd", "group": "/etc/group"}[kind]
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find %s %s: not in the image's %s; a number needs no entry there", kind, name, file)
	}
	return fmt.Errorf("find %s %s: %w", kind, name, err)
}

func openUserFile(ctx context.Context, view tree.View, path string) (io.ReadCloser, error) {
	resolved, err := tree.Resolve(view, path)
	if err != nil {
		return nil, err
	}
	e, err := view.Lstat(resolved)
	if err != nil {
		return nil, err
	}
	if e.Type != layer.Regular || e.Size > maxUserFile {
		return nil, fmt.Errorf("read %s: not a file of at most %d MiB", path, maxUserFile>>20)
	}
	return view.Open(ctx, resolved)
}
