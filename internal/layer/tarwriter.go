package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

const (
	// tarBuffer gathers headers and small files, so that what comes after is
	// called for many of them at once.
	tarBuffer = 64 << 10
	// copyBuffer is how much of a file is read at once.
	copyBuffer = 128 << 10
)

// written is what is known of a tar once it is written.
type written struct {
	diffID digest.Digest
	// contents holds the sha256 of the regular files whose entry does not
	// know it, in the order of the entries.
	contents [][sha256.Size]byte
}

// tarWriter writes the entries of one Delta.
type tarWriter struct {
	tar      *tar.Writer
	delta    Delta
	content  hash.Hash // of the file being written
	buffer   []byte
	contents [][sha256.Size]byte
}

// WriteTar writes the entries of d to w as a tar, as a layer would hold them.
// It does not release d.
func WriteTar(ctx context.Context, w io.Writer, d Delta) error {
	_, err := writeTar(ctx, w, d)
	return err
}

// writeTar writes the entries of d to w as a tar.
func writeTar(ctx context.Context, w io.Writer, d Delta) (written, error) {
	sum := newSummer(w)
	buffered := bufio.NewWriterSize(sum, tarBuffer)
	t := &tarWriter{
		tar:     tar.NewWriter(buffered),
		delta:   d,
		content: sha256.New(),
		buffer:  make([]byte, copyBuffer),
	}
	if err := t.entries(ctx); err != nil {
		return written{}, err
	}
	if err := errors.Join(t.tar.Close(), buffered.Flush()); err != nil {
		return written{}, fmt.Errorf("end tar: %w", err)
	}
	return written{diffID: sum.digest(), contents: t.contents}, nil
}

// entries writes all entries in their order, except that an opaque marker
// comes after the entry of its directory: readers that apply entries one by
// one need the directory first.
func (t *tarWriter) entries(ctx context.Context) error {
	entries := t.delta.Entries()
	for i := 0; i < len(entries); i++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		order := []int{i}
		if entries[i].Type == Opaque && i+1 < len(entries) && entries[i+1].Path == entries[i].Path {
			order = []int{i + 1, i}
			i++
		}
		for _, j := range order {
			if err := t.entry(ctx, j, entries[j]); err != nil {
				return fmt.Errorf("write %s: %w", entries[j].Path, err)
			}
		}
	}
	return nil
}

func (t *tarWriter) entry(ctx context.Context, i int, e Entry) error {
	h, err := header(e)
	if err != nil {
		return err
	}
	if err := t.tar.WriteHeader(h); err != nil {
		return err
	}
	if e.Type != Regular {
		return nil
	}
	return t.file(ctx, i, e)
}

// file writes the content of a regular file. A file that is not what its entry
// says has changed under the build, which must not go unnoticed.
func (t *tarWriter) file(ctx context.Context, i int, e Entry) (err error) {
	r, err := t.delta.Open(ctx, i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()

	t.content.Reset()
	n, err := io.CopyBuffer(io.MultiWriter(t.tar, t.content), contextReader{ctx, r}, t.buffer)
	switch {
	case errors.Is(err, tar.ErrWriteTooLong), err == nil && n != e.Size:
		return fmt.Errorf("file has changed its size while it was read: expected %d bytes", e.Size)
	case err != nil:
		return err
	}
	var sum [sha256.Size]byte
	t.content.Sum(sum[:0])
	switch e.Content {
	case [sha256.Size]byte{}:
		t.contents = append(t.contents, sum)
	case sum:
	default:
		return errors.New("file has changed since it was looked at")
	}
	return nil
}

// withContents returns entries with contents filled in where Content is not
// known. If there is nothing to fill in that is entries itself, else a copy.
func withContents(entries Index, contents [][sha256.Size]byte) Index {
	if len(contents) == 0 {
		return entries
	}
	filled := make(Index, len(entries))
	copy(filled, entries)
	for i := range filled {
		e := &filled[i]
		if e.Type == Regular && e.Content == ([sha256.Size]byte{}) {
			e.Content, contents = contents[0], contents[1:]
		}
	}
	return filled
}

// summer counts and hashes what is written through it.
type summer struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func newSummer(w io.Writer) *summer { return &summer{w: w, hash: sha256.New()} }

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

func (s *summer) digest() digest.Digest { return digest.NewDigest(digest.SHA256, s.hash) }

// contextReader ends with its context, so that a large file does not hold up
// the end of a build.
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
