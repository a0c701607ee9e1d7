package layer

import (
	"io"
	"sync"
)

// aheadSize and aheadCount are how much is read ahead: enough that neither
// side waits for the other at every step, and no more.
const (
	aheadSize  = 256 << 10
	aheadCount = 4
)

// aheadReader reads from a source in a goroutine of its own.
type aheadReader struct {
	full  chan filled
	empty chan []byte
	stop  chan struct{}
	ended chan struct{} // closed when the goroutine is gone
	close func() error

	current []byte // what is left of buffer
	buffer  []byte
	err     error
}

type filled struct {
	data []byte
	err  error
}

// readAhead returns a reader of src that is a few buffers ahead of its caller.
// Closing it waits for a read of src under way, then closes src.
func readAhead(src io.ReadCloser) io.ReadCloser {
	r := &aheadReader{
		full:  make(chan filled, aheadCount),
		empty: make(chan []byte, aheadCount),
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	for range aheadCount {
		r.empty <- nil // allocated when first used
	}
	go r.run(src)
	r.close = sync.OnceValue(func() error {
		close(r.stop)
		<-r.ended
		return src.Close()
	})
	return r
}

// run fills empty buffers until the source ends. As many buffers fit into full
// as there are, so that handing one over never waits.
func (r *aheadReader) run(src io.Reader) {
	defer close(r.ended)
	for {
		var buffer []byte
		select {
		case buffer = <-r.empty:
		case <-r.stop:
			return
		}
		if buffer == nil {
			buffer = make([]byte, aheadSize)
		}
		n, err := fill(src, buffer)
		r.full <- filled{buffer[:n], err}
		if err != nil {
			return
		}
	}
}

// fill reads until buffer is full or src ends, with whatever error that has.
func fill(src io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var k int
		k, err = src.Read(buffer[n:])
		n += k
	}
	return n, err
}

func (r *aheadReader) Read(p []byte) (int, error) {
	for len(r.current) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buffer != nil {
			r.empty <- r.buffer[:aheadSize]
			r.buffer = nil
		}
		select {
		case f := <-r.full:
			r.buffer, r.current, r.err = f.data, f.data, f.err
		case <-r.stop:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, r.current)
	r.current = r.current[n:]
	return n, nil
}

func (r *aheadReader) Close() error { return r.close() }
