package overlay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kiln-build/kiln/internal/layer"
)

// layerDir is the directory of one layer. On disk it holds
//
//	diff/      what overlayfs is given as lower or upper directory
//	work/      the work directory, while diff/ is an upper one
//	meta.json  a [meta], written when diff/ is complete
type layerDir struct {
	path string
	// implied are the directories in diff/ that the layer does not name, in
	// the order of [layer.Compare]: their modes and owners mean nothing.
	implied []string
}

// meta says how to read diff/.
type meta struct {
	// UserXattr says that opaque directories are marked by user.overlay.*.
	UserXattr bool     `json:"userXattr"`
	Implied   []string `json:"implied"`
}

// Files returns where the files of a kept layer are in its directory. Beside
// them are overlayfs's marks of what is deleted.
func Files(kept string) string { return (&layerDir{path: kept}).diff() }

func (d *layerDir) diff() string { return filepath.Join(d.path, "diff") }
func (d *layerDir) work() string { return filepath.Join(d.path, "work") }

// isImplied reports whether the layer does not name the directory rel.
func (d *layerDir) isImplied(rel string) bool {
	_, found := slices.BinarySearchFunc(d.implied, rel, layer.Compare)
	return found
}

// newLayerDir makes a layer directory in the empty directory path.
func newLayerDir(path string) (*layerDir, error) {
	d := &layerDir{path: path}
	if err := os.Mkdir(d.diff(), 0o755); err != nil {
		return nil, err
	}
	return d, os.Chmod(d.diff(), 0o755) // whatever the umask
}

// readLayerDir opens a kept layer directory; ok is false if this engine cannot
// read it.
func readLayerDir(path string, userXattr bool) (_ *layerDir, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(path, "meta.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var m meta
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", filepath.Join(path, "meta.json"), err)
	}
	return &layerDir{path: path, implied: m.Implied}, m.UserXattr == userXattr, nil
}

// complete writes meta.json.
func (d *layerDir) complete(userXattr bool) error {
	data, err := json.Marshal(meta{UserXattr: userXattr, Implied: d.implied})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.path, "meta.json"), data, 0o644)
}
