package testenv

import (
	"archive/tar"
	"testing"
	"time"
)

// tarWriter writes an archive that is the same each time; a failure ends the
// test.
type tarWriter struct {
	t testing.TB
	w *tar.Writer
}

func (w *tarWriter) dirs(mode int64, names ...string) {
	for _, name := range names {
		w.entry(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
	}
}

func (w *tarWriter) file(name string, mode int64, content []byte) {
	w.entry(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content)
}

func (w *tarWriter) link(name, target string) {
	w.entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (w *tarWriter) entry(h *tar.Header, content []byte) {
	w.t.Helper()
	h.ModTime = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := w.w.WriteHeader(h); err != nil {
		w.t.Fatalf("write the header of %s: %v", h.Name, err)
	}
	if _, err := w.w.Write(content); err != nil {
		w.t.Fatalf("write %s: %v", h.Name, err)
	}
}

func (w *tarWriter) close() {
	w.t.Helper()
	if err := w.w.Close(); err != nil {
		w.t.Fatalf("end the archive: %v", err)
	}
}
