package spool

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// Section is where in a Spool the content of a file is.
type Section struct{ Offset, Size int64 }

// Spool is a temporary file that only grows. Reading is safe for concurrent
// use, also while it is written; writers take turns.
type Spool struct {
	file *os.File
	mu   sync.Mutex
	end  int64
}

// New makes an empty spool in dir.
func New(dir string) (*Spool, error) {
	file, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close() // the error that matters is the first
		return nil, fmt.Errorf("make spool: %w", err)
	}
	return &Spool{file: file}, nil
}

// Add appends what r yields until its end. It stops with the cause of ctx when
// that is done.
func (s *Spool) Add(ctx context.Context, r io.Reader) (Section, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := io.Copy(io.NewOffsetWriter(s.file, s.end), reader{ctx, r})
	if err != nil {
		return Section{}, fmt.Errorf("write spool: %w", err)
	}
	section := Section{Offset: s.end, Size: n}
	s.end += n
	return section, nil
}

type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// Open returns the content of a section. Closing it does nothing: the spool
// owns the file.
func (s *Spool) Open(section Section) io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(s.file, section.Offset, section.Size))
}

// Close gives the disk space back. Readers still open fail afterwards.
func (s *Spool) Close() error { return s.file.Close() }
