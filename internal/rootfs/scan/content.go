package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a regular file for reading its content, without changing its
// access time where that is allowed.
func Open(path string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.OpenFile(path, flags, 0)
	}
	return f, err
}

// Content opens a regular file of size bytes. The reader fails if the file is
// not as long as that.
func Content(path string, size int64) (io.ReadCloser, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return &content{file: f, path: path, left: size}, nil
}

type content struct {
	file *os.File
	path string
	left int64
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, c.end()
	}
	n, err := c.file.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		return n, fmt.Errorf("read %s: it has become shorter: %w", c.path, io.ErrUnexpectedEOF)
	}
	return n, err
}

// end returns io.EOF if the file ends where it should.
func (c *content) end() error {
	n, err := c.file.Read(make([]byte, 1))
	if n > 0 {
		return fmt.Errorf("read %s: it has become longer", c.path)
	}
	return err
}

// Close implements io.Closer.
func (c *content) Close() error { return c.file.Close() }

// SameContent reports whether two regular files hold the same bytes.
func SameContent(a, b string) (_ bool, err error) {
	fa, err := Open(a)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, fa.Close()) }()
	fb, err := Open(b)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, fb.Close()) }()
	bufA, bufB := make([]byte, 128<<10), make([]byte, 128<<10)
	for {
		na, errA := io.ReadFull(fa, bufA)
		nb, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:na], bufB[:nb]) {
			return false, nil
		}
		if errA == nil && errB == nil {
			continue
		}
		return endsAlike(errA, errB)
	}
}

func endsAlike(errs ...error) (bool, error) {
	for _, err := range errs {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
	}
	return true, nil
}
