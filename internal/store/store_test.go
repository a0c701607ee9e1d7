package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/blob"
	"github.com/kiln-build/kiln/internal/layer"
)

// openStore opens dir and closes it at the end of the test.
func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put writes content as a blob.
func put(t *testing.T, s *Store, content string) ocispec.Descriptor {
	t.Helper()
	b, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromString(content)
	if _, err := io.WriteString(b, content); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(d); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{Digest: d, Size: int64(len(content))}
}

func TestBlobIsReadBack(t *testing.T) {
	s := openStore(t, t.TempDir())
	desc := put(t, s, "some layer")
	if !s.HasBlob(desc) {
		t.Error("HasBlob = false after Commit")
	}
	for name, open := range map[string]func() (io.ReadCloser, error){
		"OpenBlob": func() (io.ReadCloser, error) {
			r, size, err := s.OpenBlob(desc.Digest)
			if size != desc.Size {
				t.Errorf("size = %d, want %d", size, desc.Size)
			}
			return r, err
		},
		"BlobSource": func() (io.ReadCloser, error) { return s.BlobSource(desc).Open(t.Context()) },
	} {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != "some layer" || err != nil {
			t.Errorf("%s reads %q, %v", name, got, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBlobThatIsNotThere(t *testing.T) {
	s := openStore(t, t.TempDir())
	desc := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	if _, _, err := s.OpenBlob(desc.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenBlob: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.Layer(desc, desc.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Layer: %v, want fs.ErrNotExist", err)
	}
}

func TestBlobWithoutCommitLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDigestsCannotLeaveTheFolder(t *testing.T) {
	s := openStore(t, t.TempDir())
	for _, d := range []digest.Digest{"", "sha256:../../../x", "../x:00", "sha256:ABC"} {
		if _, _, err := s.OpenBlob(d); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenBlob(%q) = %v, want a refusal", d, err)
		}
		if _, ok := s.LayerDir(d); ok {
			t.Errorf("LayerDir(%q) found something", d)
		}
	}
}

func TestDamagedBlobIsReportedAndRemoved(t *testing.T) {
	for name, content := range map[string]string{"same length": "SOME layer", "cut": "some", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			desc := put(t, s, "some layer")
			path, err := s.blobPath(desc.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r, _, err := s.OpenBlob(desc.Digest)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := io.ReadAll(r); !errors.Is(err, blob.ErrMismatch) {
				t.Errorf("read: %v, want ErrMismatch", err)
			}
			if s.HasBlob(desc) {
				t.Error("damaged blob is still there")
			}
		})
	}
}

func TestWritersOfOneBlobAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	content := strings.Repeat("the same layer of several builds\n", 10000)
	desc := ocispec.Descriptor{Digest: digest.FromString(content), Size: int64(len(content))}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := stores[i%2]
			put(t, s, content)
			r, _, err := s.OpenBlob(desc.Digest)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files of the store: %v, want the blob alone", left)
	}
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	if _, err := s.Record("a.gzip"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing record: %v, want fs.ErrNotExist", err)
	}
	for _, value := range []string{"one", "", "two"} {
		if err := s.PutRecord("a.gzip", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Record("a.gzip"); string(got) != value || err != nil {
			t.Errorf("record = %q, %v; want %q", got, err, value)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", strings.Repeat("a", 300)} {
		if err := s.PutRecord(name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("PutRecord(%q) = %v, want fs.ErrInvalid", name, err)
		}
	}
}

// A power cut may leave a file that is named but not written, or not to its end.
func TestTornRecordCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	path := filepath.Join(dir, recordsFolder, "r")
	for _, size := range []int64{0, 10, 40} {
		if err := s.PutRecord("r", bytes.Repeat([]byte("x"), 20)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Record("r"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("record cut to %d bytes reads as %q, %v", size, got, err)
		}
	}
}

func TestScratchIsGoneAfterClose(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := s.Scratch()
	second, err2 := s.Scratch()
	if err := errors.Join(err1, err2, os.WriteFile(filepath.Join(first, "f"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Errorf("both scratch directories are %s", first)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// files returns the files below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestIndexes(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	id := digest.FromString("layer")
	if _, err := s.LoadIndex(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing index: %v, want fs.ErrNotExist", err)
	}
	index := layer.Index{{Path: "etc", Type: layer.Dir, Mode: 0o755}, {Path: "etc/passwd", Type: layer.Regular, Size: 5}}
	if err := s.SaveIndex(t.Context(), id, index); err != nil {
		t.Fatal(err)
	}
	got, err := s.LoadIndex(t.Context(), id)
	if err != nil || len(got) != 2 || got[1].Path != "etc/passwd" || got[1].Size != 5 {
		t.Errorf("index = %v, %v; want %v", got, err, index)
	}
	if err := s.writeSealed(filepath.Join(dir, indexesFolder, "sha256."+id.Encoded()), []byte("kiln index of the future")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadIndex(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("index of another format: %v, want fs.ErrNotExist", err)
	}
}
