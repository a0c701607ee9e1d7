package layer_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
)

// pack packs data with a program, and skips the test if there is none.
func pack(t *testing.T, data []byte, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("there is no %s", program)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

func decompress(data []byte) ([]byte, layer.Compression, error) {
	r, c, err := layer.Decompress(bytes.NewReader(data))
	if err != nil {
		return nil, c, err
	}
	plain, err := io.ReadAll(r)
	return plain, c, errors.Join(err, r.Close())
}

func TestDecompress(t *testing.T) {
	data := append(noise(600<<10), strings.Repeat("text that compresses ", 40000)...)
	cases := []struct {
		name string
		args []string
		want layer.Compression
	}{
		{"gzip", []string{"-9"}, layer.Gzip},
		{"zstd", []string{"-19"}, layer.Zstd},
		{"zstd", []string{"--ultra", "-22", "--long=27"}, layer.Zstd},
		{"bzip2", nil, layer.Bzip2},
		{"xz", []string{"-9"}, layer.XZ},
		{"xz", []string{"--x86", "--lzma2"}, layer.XZ},
		{"cat", nil, layer.None},
	}
	for _, c := range cases {
		t.Run(c.name+strings.Join(c.args, ""), func(t *testing.T) {
			packed := pack(t, data, c.name, c.args...)
			plain, as, err := decompress(packed)
			if err != nil {
				t.Fatal(err)
			}
			if as != c.want || !bytes.Equal(plain, data) {
				t.Errorf("recognised as %s, %d bytes of %d", as, len(plain), len(data))
			}
			if c.want == layer.None {
				return
			}
			if _, _, err := decompress(packed[:len(packed)/2]); err == nil || !strings.Contains(err.Error(), "decompress "+c.want.String()) {
				t.Errorf("half of it: error is %v", err)
			}
			twice, _, err := decompress(append(bytes.Clone(packed), packed...))
			if err != nil || len(twice) != 2*len(data) {
				t.Errorf("one after another: %d bytes, error %v", len(twice), err)
			}
		})
	}
}

func TestDecompressShortInput(t *testing.T) {
	for _, s := range []string{"", "x", "BZ", "\x1f\x8b", "plain text", "\x50\x2a\x4d"} {
		plain, as, err := decompress([]byte(s))
		if err != nil || as != layer.None || string(plain) != s {
			t.Errorf("%q comes out as %q, %s, %v", s, plain, as, err)
		}
	}
}

func TestZstdThatBeginsWithASkippableFrame(t *testing.T) {
	packed := append([]byte("\x53\x2a\x4d\x18\x03\x00\x00\x00abc"), pack(t, []byte("text"), "zstd")...)
	plain, as, err := decompress(packed)
	if err != nil || as != layer.Zstd || string(plain) != "text" {
		t.Errorf("comes out as %q, %s, %v", plain, as, err)
	}
}

func TestDecompressTellsTheErrorOfItsSource(t *testing.T) {
	lost := errors.New("connection lost")
	data := pack(t, noise(1<<20), "gzip")
	r, _, err := layer.Decompress(io.MultiReader(bytes.NewReader(data[:500000]), iotest.ErrReader(lost)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if !errors.Is(err, lost) || n == 0 {
		t.Errorf("after %d bytes the error is %v, want %v", n, err, lost)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := layer.Decompress(iotest.ErrReader(lost)); !errors.Is(err, lost) {
		t.Errorf("error is %v, want %v", err, lost)
	}
}

func TestClosingEarlyEndsTheGoroutines(t *testing.T) {
	data := pack(t, noise(8<<20), "gzip")
	before := runtime.NumGoroutine()
	for range 10 {
		r, _, err := layer.Decompress(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil {
			t.Error("a closed reader goes on")
		}
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
