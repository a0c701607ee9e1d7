package registry

import (
	"errors"
	"io"
	"sync"

	"github.com/kiln-build/kiln/internal/progress"
)

// uploadBody is a blob on its way out. It tells a source that fails from a
// connection that fails, and how far things are.
type uploadBody struct {
	in    io.ReadCloser
	size  int64
	watch *watch
	task  *progress.Running

	// The transport may close a body while it still reads it.
	mu     sync.Mutex
	sent   int64
	closed bool
	err    error
}

var errBodyClosed = errors.New("upload was given up")

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errBodyClosed
	}
	// How long the source takes is none of the connection's business.
	b.watch.pause()
	n, err := b.in.Read(p)
	b.sent += int64(n)
	limit := stallLimit
	if b.sent >= b.size {
		limit = replyLimit
	}
	b.watch.progress(limit)
	b.task.Advance(b.sent, b.size)
	if err != nil && err != io.EOF && b.watch.ctx.Err() == nil {
		b.err = err
	}
	return n, err
}

func (b *uploadBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	return b.in.Close()
}

// failure returns why the source could not be read, nil if it could.
func (b *uploadBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
