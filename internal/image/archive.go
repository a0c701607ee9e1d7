package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// file is a file of an archive or a layout whose content is read when it is
// written.
type file struct {
	name string
	size int64
	open func(ctx context.Context) (io.ReadCloser, error)
}

// inMemory returns a file of the content.
func inMemory(name string, content []byte) file {
	return file{name: name, size: int64(len(content)), open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// writeArchive writes files as a tar that is the same for the same files.
func writeArchive(ctx context.Context, w io.Writer, dirs []string, files []file) error {
	archive := tar.NewWriter(w)
	epoch := time.Unix(0, 0)
	for _, dir := range dirs {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch}
		if err := archive.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", dir, err)
		}
	}
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: f.size, ModTime: epoch}
		if err := archive.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if err := f.copy(ctx, archive); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("end archive: %w", err)
	}
	return nil
}

// copy writes the file's content to w, all of it, read to its verified end.
func (f file) copy(ctx context.Context, w io.Writer) (err error) {
	in, err := f.open(ctx)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	n, err := io.Copy(w, contextReader{ctx, in})
	if err == nil && n != f.size {
		err = fmt.Errorf("it has %d bytes in place of %d", n, f.size)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p)
}
