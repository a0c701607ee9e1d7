package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/blob"
	"github.com/kiln-build/kiln/internal/progress"
	"github.com/kiln-build/kiln/internal/store"
)

// downloads brings blobs into the store. A blob that several want is
// downloaded once, and each reads along at its own pace: the line never waits
// for whoever unpacks.
type downloads struct {
	store    *store.Store
	slots    chan struct{} // one is taken while a blob is downloaded
	progress *progress.Reporter

	mu     sync.Mutex
	active map[digest.Digest]*download
}

func newDownloads(s *store.Store, parallel int, p *progress.Reporter) *downloads {
	return &downloads{store: s, slots: make(chan struct{}, parallel), progress: p, active: make(map[digest.Digest]*download)}
}

// fetch returns the bytes of a blob, not verified.
type fetch func(ctx context.Context) io.ReadCloser

// open returns the blob's bytes while they come in. Its end is io.EOF only if
// they were verified and are in the store. When the last reader is closed
// before that, the download is given up.
func (d *downloads) open(ctx context.Context, name string, desc ocispec.Descriptor, from fetch) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.active[desc.Digest]
	if l == nil {
		var err error
		if l, err = d.start(ctx, name, desc, from); err != nil {
			return nil, err
		}
	}
	l.readers++
	return &follower{ctx: ctx, all: d, download: l}, nil
}

// start begins a download. It outlives the one who asks first if others read
// along.
func (d *downloads) start(ctx context.Context, name string, desc ocispec.Descriptor, from fetch) (*download, error) {
	out, err := d.store.NewBlob()
	if err != nil {
		return nil, err
	}
	in, err := out.Reader()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &download{desc: desc, out: out, in: in, cancel: cancel, changed: make(chan struct{})}
	d.active[desc.Digest] = l
	task := d.progress.Start(progress.Task{Name: name, Detail: true})
	go func() {
		err := d.run(ctx, l, from, task)
		err = errors.Join(err, out.Close())
		task.End(progress.Done, err)
		d.end(l, err)
	}()
	return l, nil
}

// run brings the blob into the store.
func (d *downloads) run(ctx context.Context, l *download, from fetch, task *progress.Running) (err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	in, err := blob.NewReader(from(ctx), l.desc.Digest, l.desc.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	buffer := make([]byte, socketBuffer)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			if _, err := l.out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("keep blob %s: %w", l.desc.Digest, err)
			}
			task.Advance(l.advance(n), l.desc.Size)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = l.out.Commit(l.desc.Digest)
	return err
}

// end tells the readers how the download ended.
func (d *downloads) end(l *download, err error) {
	d.mu.Lock()
	d.forget(l)
	d.mu.Unlock()
	l.finish(err)
}

// forget sees to it that nobody joins l any more. The caller holds d.mu.
func (d *downloads) forget(l *download) {
	if d.active[l.desc.Digest] == l {
		delete(d.active, l.desc.Digest)
	}
}

// leave counts a reader out. A download that nobody reads is given up.
func (d *downloads) leave(l *download) error {
	d.mu.Lock()
	l.readers--
	last := l.readers == 0
	if last {
		d.forget(l)
	}
	d.mu.Unlock()
	if !last {
		return nil
	}
	l.cancel()
	return l.in.Close()
}

// download is one blob on its way into the store.
type download struct {
	desc    ocispec.Descriptor
	out     *store.BlobFile // written by one goroutine
	in      *os.File        // read by all readers, closed by the last one
	cancel  context.CancelFunc
	readers int // guarded by downloads.mu

	mu      sync.Mutex
	written int64
	done    bool
	err     error
	changed chan struct{} // closed, and replaced, when one of the above changes
}

func (l *download) advance(n int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written += int64(n)
	l.wake()
	return l.written
}

func (l *download) finish(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done, l.err = true, err
	l.wake()
}

func (l *download) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait returns when there is more than offset bytes. The error is io.EOF if
// there never will be.
func (l *download) wait(ctx context.Context, offset int64) error {
	for {
		l.mu.Lock()
		written, done, err, changed := l.written, l.done, l.err, l.changed
		l.mu.Unlock()
		switch {
		case done && err != nil:
			return err
		case written > offset:
			return nil
		case done:
			return io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follower reads a download.
type follower struct {
	ctx      context.Context
	all      *downloads
	download *download
	offset   int64
	closed   bool
}

func (f *follower) Read(p []byte) (int, error) {
	if err := f.download.wait(f.ctx, f.offset); err != nil {
		return 0, err
	}
	n, err := f.download.in.ReadAt(p, f.offset)
	f.offset += int64(n)
	if err == io.EOF {
		err = nil // so far
	}
	return n, err
}

func (f *follower) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.all.leave(f.download)
}
