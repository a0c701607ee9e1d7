package layer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/opencontainers/go-digest"
)

// blobDir keeps blobs as files named after their digest, as a store does.
type blobDir string

func (d blobDir) Create(context.Context) (layer.BlobFile, error) {
	f, err := os.CreateTemp(string(d), "unfinished-")
	if err != nil {
		return nil, err
	}
	return &blobFile{File: f, dir: d}, nil
}

// names lists what is in the directory.
func (d blobDir) names(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadDir(string(d))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

type blobFile struct {
	*os.File
	dir  blobDir
	kept bool
}

func (f *blobFile) Commit(d digest.Digest) (layer.Source, error) {
	path := filepath.Join(string(f.dir), d.Encoded())
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	f.kept = true
	return fileSource(path), nil
}

func (f *blobFile) Close() error {
	err := f.File.Close()
	if !f.kept {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

type fileSource string

func (s fileSource) Open(context.Context) (io.ReadCloser, error) { return os.Open(string(s)) }

// bytesSource serves a blob from memory.
type bytesSource []byte

func (s bytesSource) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s)), nil
}

// delta is a Delta whose content is in memory.
type delta struct {
	entries  []layer.Entry
	contents map[string]string // by path; what is missing is Size zero bytes
	unstable bool
	halting  bool // content comes in small pieces

	mu       sync.Mutex
	released []digest.Digest
}

func (d *delta) Entries() []layer.Entry { return d.entries }
func (d *delta) Stable() bool           { return !d.unstable }

func (d *delta) Open(_ context.Context, i int) (io.ReadCloser, error) {
	content, ok := d.contents[d.entries[i].Path]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", d.entries[i].Path, fs.ErrNotExist)
	}
	var r io.Reader = strings.NewReader(content)
	if d.halting {
		r = iotest.HalfReader(r)
	}
	return io.NopCloser(r), nil
}

func (d *delta) Release(diffID digest.Digest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = append(d.released, diffID)
	return nil
}

// file adds a regular file.
func (d *delta) file(path, content string) {
	if d.contents == nil {
		d.contents = make(map[string]string)
	}
	d.contents[path] = content
	d.entries = append(d.entries, layer.Entry{Path: path, Type: layer.Regular, Mode: 0o644, Size: int64(len(content)), ModTime: when})
}

func (d *delta) add(entries ...layer.Entry) { d.entries = append(d.entries, entries...) }

var when = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// memoryIndexes keeps indexes in memory, in their stored form.
type memoryIndexes map[digest.Digest][]byte

func (m memoryIndexes) LoadIndex(_ context.Context, id digest.Digest) (layer.Index, error) {
	data, ok := m[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return layer.DecodeIndex(data)
}

func (m memoryIndexes) SaveIndex(_ context.Context, id digest.Digest, x layer.Index) error {
	m[id] = x.Encode()
	return nil
}

// read lists changes with their content.
func read(t *testing.T, changes iter.Seq2[layer.Change, error]) (entries []layer.Entry, contents map[string]string) {
	t.Helper()
	contents = make(map[string]string)
	for c, err := range changes {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, c.Entry)
		if c.Reader == nil {
			continue
		}
		data, err := io.ReadAll(c.Reader)
		if err != nil {
			t.Fatal(err)
		}
		contents[c.Path] = string(data)
	}
	return entries, contents
}

// firstError reads changes up to an error and returns it.
func firstError(changes iter.Seq2[layer.Change, error]) error {
	for c, err := range changes {
		if err != nil {
			return err
		}
		if c.Reader == nil {
			continue
		}
		if _, err := io.Copy(io.Discard, c.Reader); err != nil {
			return err
		}
	}
	return nil
}

func sum(content string) [sha256.Size]byte { return sha256.Sum256([]byte(content)) }

// equalEntries compares entries, with times by the instant they mean.
func equalEntries(t *testing.T, got, want []layer.Entry) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = describe(got[i])
		}
		if i < len(want) {
			w = describe(want[i])
		}
		if g != w {
			t.Errorf("entry %d is\n%s\nwant\n%s", i, g, w)
		}
	}
}

func describe(e layer.Entry) string {
	return fmt.Sprintf("%q type %d mode %o owner %d:%d size %d time %d link %q device %d:%d xattrs %q content %x",
		e.Path, e.Type, e.Mode, e.UID, e.GID, e.Size, e.ModTime.UnixNano(), e.Linkname, e.Major, e.Minor, e.Xattrs, e.Content[:4])
}
