package unpack

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kiln-build/kiln/internal/inroot"
	"github.com/kiln-build/kiln/internal/layer"
)

const (
	// smallFile is the size up to which a file is read into memory and written
	// by a worker, so that reading the stream does not wait for the disk.
	smallFile = 128 << 10
	// copyBuffer is how much of a large file is written at once.
	copyBuffer = 256 << 10
	// maxWorkers bounds memory, with two buffers of smallFile for each.
	maxWorkers = 16
)

// regular writes a regular file, now or soon.
func (u *unpacker) regular(ctx context.Context, dir *openDir, name string, c layer.Change) error {
	if c.Size <= smallFile {
		return u.files.add(ctx, dir, name, c)
	}
	if u.buffer == nil {
		u.buffer = make([]byte, copyBuffer)
	}
	return u.writeFile(dir.Dir, name, c.Entry, func(f *os.File) error {
		n, err := io.CopyBuffer(onlyWriter{f}, contextReader{ctx, c.Reader}, u.buffer)
		if err == nil && n != c.Size {
			err = fmt.Errorf("content has %d bytes instead of %d", n, c.Size)
		}
		return err
	})
}

// writeFile makes a regular file. The owner comes before the attributes and the
// mode, because changing it takes capabilities and setuid bits away.
func (u *unpacker) writeFile(dir *inroot.Dir, name string, e layer.Entry, write func(*os.File) error) (err error) {
	f, err := dir.Create(name, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := u.chown(dir, name, e); err != nil {
		return err
	}
	if err := u.setXattrs(dir, name, e); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), e.Mode); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	t := timespec(e.ModTime)
	return dir.Lutimes(name, t, t)
}

// filePool writes small files in parallel. Only one goroutine adds and waits.
type filePool struct {
	unpacker *unpacker
	jobs     chan fileJob
	free     chan []byte // buffers; nil is one not allocated yet
	fail     func(error) // tells the one who adds
	pending  sync.WaitGroup
	workers  sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

type fileJob struct {
	dir    *openDir
	name   string
	entry  layer.Entry
	buffer []byte
}

func newFilePool(u *unpacker, fail func(error)) *filePool {
	workers := min(2*runtime.GOMAXPROCS(0), maxWorkers)
	p := &filePool{
		unpacker: u,
		jobs:     make(chan fileJob, workers),
		free:     make(chan []byte, 2*workers),
		fail:     fail,
	}
	for range cap(p.free) {
		p.free <- nil
	}
	for range workers {
		p.workers.Go(p.work)
	}
	return p
}

// add reads the content of c and has it written to name in dir.
func (p *filePool) add(ctx context.Context, dir *openDir, name string, c layer.Change) error {
	var buffer []byte
	select {
	case buffer = <-p.free:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if buffer == nil {
		buffer = make([]byte, smallFile+1)
	}
	n, err := io.ReadFull(c.Reader, buffer[:c.Size+1])
	switch {
	case err == nil:
		return fmt.Errorf("content has more than %d bytes", c.Size)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return err
	case int64(n) != c.Size:
		return fmt.Errorf("content has %d bytes instead of %d", n, c.Size)
	}
	p.pending.Add(1)
	p.jobs <- fileJob{dir: dir.take(), name: name, entry: c.Entry, buffer: buffer}
	return nil
}

func (p *filePool) work() {
	for job := range p.jobs {
		if err := p.write(job); err != nil {
			p.mu.Lock()
			if p.err == nil {
				p.err = fmt.Errorf("unpack %s: %w", job.entry.Path, err)
				p.fail(p.err)
			}
			p.mu.Unlock()
		}
		p.free <- job.buffer
		p.pending.Done()
	}
}

func (p *filePool) write(job fileJob) error {
	err := p.unpacker.writeFile(job.dir.Dir, job.name, job.entry, func(f *os.File) error {
		_, err := f.Write(job.buffer[:job.entry.Size])
		return err
	})
	if closeErr := job.dir.release(); err == nil {
		err = closeErr
	}
	return err
}

// wait returns when all that was added is written.
func (p *filePool) wait() error {
	p.pending.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// close ends the workers; what they failed at, wait has said.
func (p *filePool) close() error {
	close(p.jobs)
	p.workers.Wait()
	return nil
}

// onlyWriter hides os.File's ReadFrom, which would leave the buffer unused.
type onlyWriter struct{ io.Writer }

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
