package overlay

import (
	"context"
	"runtime"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/rootfs"
	"github.com/kiln-build/kiln/internal/rootfs/mnt"
	"github.com/kiln-build/kiln/internal/unpack"
)

// Store keeps unpacked layers. All its directories are on one file system. It
// is safe for concurrent use, by several processes.
type Store interface {
	// LayerDir returns the directory kept for a layer; ok is false if there is
	// none.
	LayerDir(diffID digest.Digest) (path string, ok bool)
	// NewLayerDir returns a new, empty directory. It lives until the store is
	// closed, or longer if it is kept.
	NewLayerDir() (path string, err error)
	// KeepLayerDir keeps a directory of NewLayerDir for a layer and returns
	// the one that is kept, another if there was one before. The directory may
	// be in use and stays where it is.
	KeepLayerDir(path string, diffID digest.Digest) (kept string, err error)
	// Scratch returns a new, empty directory. The caller removes it.
	Scratch() (dir string, err error)
}

// Options say how an [Engine] works. Store and Isolation are needed.
type Options struct {
	Store     Store
	Isolation rootfs.Isolation
	// UserXattr keeps the marks of overlayfs in user.overlay.*; needed in a
	// user namespace.
	UserXattr bool
	// Unpack says how layers are unpacked; its Whiteouts are not looked at.
	Unpack unpack.Options
}

// Engine implements [rootfs.Engine]. It is safe for concurrent use.
type Engine struct {
	options  Options
	maxLower int
	// unpacking bounds how many layers are unpacked at the same time: enough
	// to keep the processors busy while some wait for the network.
	unpacking chan struct{}

	mu      sync.Mutex
	flights map[any]*flight // by diff ID, or by *layer.Layer where that is not known
}

// New returns an Engine. The caller has the right to mount.
func New(o Options) *Engine {
	o.Unpack.Whiteouts = unpack.Overlay
	if o.UserXattr {
		o.Unpack.Whiteouts = unpack.OverlayUserXattr
	}
	return &Engine{
		options:   o,
		maxLower:  mnt.MaxLower(),
		unpacking: make(chan struct{}, max(4, runtime.GOMAXPROCS(0))),
		flights:   make(map[any]*flight),
	}
}

// Name implements [rootfs.Engine].
func (e *Engine) Name() string { return "overlay" }

// Parallel implements [rootfs.Engine].
func (e *Engine) Parallel() bool { return true }

// Open implements [rootfs.Engine].
func (e *Engine) Open(ctx context.Context, base []*layer.Layer) (rootfs.FS, error) {
	f := &fs{engine: e}
	dirs, err := f.layerDirs(ctx, base)
	if err != nil {
		return nil, err
	}
	if f.stack, err = e.newStack(dirs); err != nil {
		return nil, err
	}
	return f, nil
}

// layerDirs returns the directories of layers, all unpacked.
func (f *fs) layerDirs(ctx context.Context, layers []*layer.Layer) ([]*layerDir, error) {
	dirs := make([]*layerDir, len(layers))
	group, ctx := errgroup.WithContext(ctx)
	for i, l := range layers {
		group.Go(func() (err error) {
			dirs[i], err = f.engine.layerDir(ctx, l)
			return err
		})
	}
	return dirs, group.Wait()
}
