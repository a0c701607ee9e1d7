package registry

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// stallLimit is how long a transfer may stand still before its connection
	// counts as broken. TCP itself would wait a quarter of an hour.
	stallLimit = time.Minute
	// replyLimit is how long a registry may take to answer once it has
	// everything; some move a blob to its place then, byte by byte.
	replyLimit = 10 * time.Minute
)

var errStalled = errors.New("the connection stands still")

// watch cancels a request that makes no progress.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newWatch(ctx context.Context) *watch {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stallLimit, func() { cancel(errStalled) })
	return &watch{ctx: ctx, cancel: cancel, timer: timer}
}

// progress starts the wait anew.
func (w *watch) progress(limit time.Duration) { w.timer.Reset(limit) }

// pause stops the wait until there is progress.
func (w *watch) pause() { w.timer.Stop() }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// cause returns errStalled if that is why err came about, else err.
func (w *watch) cause(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}

// watchedBody is the body of an answer, with an eye on its progress.
type watchedBody struct {
	io.ReadCloser
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.progress(stallLimit)
	n, err := b.ReadCloser.Read(p)
	return n, b.watch.cause(err)
}

func (b *watchedBody) Close() error {
	b.watch.stop()
	return b.ReadCloser.Close()
}
