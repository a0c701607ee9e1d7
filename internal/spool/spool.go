package spool

import (
	"bytes"
	"context"
	"errors"
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
// that is done. Runs of zeros, of which sparse files have many, take no space.
func (s *Spool) Add(ctx context.Context, r io.Reader) (Section, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, err := s.copy(ctx, r)
	if err != nil {
		end = s.end
	}
	// What was left out has to read as zeros, also where an Add failed before.
	if truncErr := s.file.Truncate(end); err == nil {
		err = truncErr
	}
	if err != nil {
		return Section{}, fmt.Errorf("write spool: %w", err)
	}
	section := Section{Offset: s.end, Size: end - s.end}
	s.end = end
	return section, nil
}

// copy writes r behind the end of the spool and returns where that ends.
func (s *Spool) copy(ctx context.Context, r io.Reader) (end int64, err error) {
	buf := make([]byte, 64<<10)
	for end = s.end; ctx.Err() == nil; {
		n, err := r.Read(buf)
		if part := buf[:n]; !isZero(part) {
			if _, err := s.file.WriteAt(part, end); err != nil {
				return end, err
			}
		}
		end += int64(n)
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
	}
	return end, context.Cause(ctx)
}

// isZero reports whether all of p is zero, which it is if it begins so and
// every byte is like the one before.
func isZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
}

// Open returns the content of a section. Closing it does nothing: the spool
// owns the file.
func (s *Spool) Open(section Section) io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(s.file, section.Offset, section.Size))
}

// Close gives the disk space back. Readers still open fail afterwards.
func (s *Spool) Close() error { return s.file.Close() }
