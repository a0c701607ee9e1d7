package step

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/spool"
	"github.com/kiln-build/kiln/internal/tree"
)

// Copier does COPY, ADD and WORKDIR. What it needs of the outside is in its
// fields; all are optional but Scratch. Safe for concurrent use.
type Copier struct {
	// Scratch returns a directory for temporary files. It is asked only if
	// something has to be kept: the contents of an archive, a download.
	Scratch func() (string, error)
	// Client fetches the URLs of ADD; nil is one with default settings.
	Client *http.Client
	// Now is the clock for what has no time of its own: directories made on the
	// way, here-documents. Nil is [time.Now].
	Now func() time.Time

	mu         sync.Mutex
	closers    []io.Closer
	selections map[*plan.Copy]*Selection
}

// Copy does a COPY or ADD: what op selects in src goes into dest. src is not
// used, and may be nil, if no source of op is a path.
func (c *Copier) Copy(ctx context.Context, op *plan.Copy, src, dest tree.View) (layer.Delta, error) {
	s, err := c.Select(op, src)
	if err != nil {
		return nil, err
	}
	defer c.forget(op)
	return s.into(ctx, dest)
}

// Select resolves the sources of op in src. The result is remembered until
// [Copier.Copy] has used it, so that a step's key and its layer are made from
// the same selection.
func (c *Copier) Select(op *plan.Copy, src tree.View) (*Selection, error) {
	c.mu.Lock()
	s := c.selections[op]
	c.mu.Unlock()
	if s != nil && s.view == src {
		return s, nil
	}
	s, err := newSelection(c, op, src)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.selections == nil {
		c.selections = make(map[*plan.Copy]*Selection)
	}
	c.selections[op] = s
	return s, nil
}

func (c *Copier) forget(op *plan.Copy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.selections, op)
}

// Close gives back the disk space of what was kept. The deltas that Copy
// returned cannot be read afterwards.
func (c *Copier) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, closer := range c.closers {
		errs = append(errs, closer.Close())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// newSpool makes a spool that lives until Close.
func (c *Copier) newSpool() (*spool.Spool, error) {
	dir, err := c.Scratch()
	if err != nil {
		return nil, err
	}
	s, err := spool.New(dir)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, s)
	return s, nil
}

func (c *Copier) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
