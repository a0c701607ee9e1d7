package conformance_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// compress compresses data in the way that the end of a name asks for. Go has
// no compressors for bzip2 and xz: those are programs.
func compress(name string, data []byte) ([]byte, error) {
	var buf bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz", ".tgz":
		w := gzip.NewWriter(&buf)
		return finish(&buf, w, data)
	case ".zst":
		w, err := zstd.NewWriter(&buf)
		if err != nil {
			return nil, err
		}
		return finish(&buf, w, data)
	case ".bz2":
		return filter(data, "bzip2", "-c")
	case ".xz":
		return filter(data, "xz", "-c")
	default:
		return data, nil
	}
}

func finish(buf *bytes.Buffer, w io.WriteCloser, data []byte) ([]byte, error) {
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func filter(data []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	return out, nil
}

// decompress gives the tar in a layer's blob, recognised by its first bytes.
func decompress(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")):
		r, err := zstd.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	default:
		return data, nil
	}
}
