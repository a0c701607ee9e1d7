package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// resumed is a blob as one stream, whatever happens to the connections it comes
// over: where one breaks, the next request asks for the rest.
type resumed struct {
	ctx     context.Context
	retries retries
	what    string
	size    int64
	// open returns the blob from the offset on.
	open func(ctx context.Context, offset int64) (io.ReadCloser, error)

	body     io.ReadCloser // nil before the first and between two requests
	offset   int64
	failures int // since a byte came through
}

func (r *resumed) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			if err := r.connect(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if n > 0 {
			r.failures = 0
		}
		if err == nil || err == io.EOF && r.offset >= r.size {
			return n, err
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err := r.recover(err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (r *resumed) connect() error {
	return r.retries.do(r.ctx, r.what, func() (err error) {
		r.body, err = r.open(r.ctx, r.offset)
		return err
	})
}

// recover gives up the broken connection, and returns cause if it is no use to
// make another one.
func (r *resumed) recover(cause error) error {
	_ = r.body.Close() // broken in any case
	r.body = nil
	r.failures++
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	wait, again := r.retries.wait(r.failures, cause)
	if !again {
		return fmt.Errorf("%s, after %d of %d bytes: %w", r.what, r.offset, r.size, cause)
	}
	r.retries.told(r.what, cause, wait)
	return sleep(r.ctx, wait)
}

func (r *resumed) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}

// startAt sees to it that the body of the answer to a request with a Range
// begins at the offset: a registry may ignore ranges and send all of the blob.
func startAt(resp *http.Response, offset int64) error {
	if offset == 0 {
		return nil
	}
	if resp.StatusCode == http.StatusPartialContent {
		begin := fmt.Sprintf("bytes %d-", offset)
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, begin) {
			return final("asked for the bytes from %d on and got %q", offset, got)
		}
		return nil
	}
	_, err := io.CopyN(io.Discard, resp.Body, offset)
	return err
}
