package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/blob"
	"github.com/kiln-build/kiln/internal/layer"
)

// Create opens a new blob, which nobody sees until it is committed.
func (s *Store) Create(context.Context) (layer.BlobFile, error) { return s.NewBlob() }

// NewBlob is Create for those who read what they write.
func (s *Store) NewBlob() (*BlobFile, error) {
	f, err := os.CreateTemp(s.session.path, "blob-")
	if err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	return &BlobFile{store: s, file: f}, nil
}

// BlobFile is a blob being written, a temporary file. It is not safe for
// concurrent use, but its readers are independent of it.
type BlobFile struct {
	store     *Store
	file      *os.File
	size      int64
	committed bool
	closed    bool
}

// Reader opens the file that is being written: it grows with every Write, and
// can be read to the end whatever becomes of the blob.
func (b *BlobFile) Reader() (*os.File, error) {
	f, err := os.Open(b.file.Name())
	if err != nil {
		return nil, fmt.Errorf("read blob being written: %w", err)
	}
	return f, nil
}

// Write implements io.Writer.
func (b *BlobFile) Write(p []byte) (int, error) {
	n, err := b.file.Write(p)
	b.size += int64(n)
	return n, err
}

// Commit believes the caller that d is the digest of what was written; it is
// read back through a verifying reader in any case.
func (b *BlobFile) Commit(d digest.Digest) (layer.Source, error) {
	path, err := b.store.blobPath(d)
	if err != nil {
		return nil, err
	}
	if err := b.closeFile(); err != nil {
		return nil, fmt.Errorf("write blob %s: %w", d, err)
	}
	if err := os.Rename(b.file.Name(), path); err != nil {
		return nil, fmt.Errorf("keep blob %s: %w", d, err)
	}
	b.committed = true
	return b.store.BlobSource(ocispec.Descriptor{Digest: d, Size: b.size}), nil
}

// Close implements layer.BlobFile.
func (b *BlobFile) Close() error {
	err := b.closeFile()
	if b.committed {
		return err
	}
	if removed := os.Remove(b.file.Name()); !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

func (b *BlobFile) closeFile() error {
	if b.closed {
		return nil
	}
	b.closed = true
	return b.file.Close()
}

// HasBlob reports whether the blob is there. With a desc.Size other than 0 a
// blob of another size does not count.
func (s *Store) HasBlob(desc ocispec.Descriptor) bool {
	path, err := s.blobPath(desc.Digest)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && (desc.Size == 0 || info.Size() == desc.Size)
}

// OpenBlob opens a blob and tells its size. The reader verifies size and
// digest; a blob that turns out to be damaged is removed, so that it is made or
// fetched again by the next build. The error is fs.ErrNotExist if there is none.
func (s *Store) OpenBlob(d digest.Digest) (io.ReadCloser, int64, error) {
	path, err := s.blobPath(d)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open blob: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open blob: %w", err), f.Close())
	}
	r, err := blob.NewReader(f, d, info.Size())
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return &storedBlob{ReadCloser: r, path: path}, info.Size(), nil
}

// storedBlob removes the file it reads if that is not what it should be.
type storedBlob struct {
	io.ReadCloser
	path string
}

func (b *storedBlob) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, blob.ErrMismatch) {
		err = fmt.Errorf("read %s, which is damaged and is removed now: %w", b.path, err)
		if removed := os.Remove(b.path); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	return n, err
}

// BlobSource returns where the blob that desc describes can be read, as long
// as it is in the store.
func (s *Store) BlobSource(desc ocispec.Descriptor) layer.Source {
	return blobSource{store: s, desc: desc}
}

type blobSource struct {
	store *Store
	desc  ocispec.Descriptor
}

func (b blobSource) Open(context.Context) (io.ReadCloser, error) {
	r, size, err := b.store.OpenBlob(b.desc.Digest)
	if err != nil {
		return nil, err
	}
	if size != b.desc.Size {
		err := fmt.Errorf("blob %s has %d bytes in place of %d: %w", b.desc.Digest, size, b.desc.Size, blob.ErrMismatch)
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Layer returns the layer whose blob desc describes; the error is
// fs.ErrNotExist if the blob is not there.
func (s *Store) Layer(desc ocispec.Descriptor, diffID digest.Digest) (*layer.Layer, error) {
	if !s.HasBlob(desc) {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, fs.ErrNotExist)
	}
	return layer.Remote(desc, diffID, s.BlobSource(desc), s), nil
}

// blobPath returns where a blob is. Digests come from manifests that anybody
// may have written; only valid ones become paths.
func (s *Store) blobPath(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w", d, err)
	}
	return filepath.Join(s.dir, blobsFolder, d.Algorithm().String(), d.Encoded()), nil
}
