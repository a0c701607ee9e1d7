package blob_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/blob"
)

func TestReaderAcceptsOnlyWhatWasPromised(t *testing.T) {
	const content = "the bytes of a layer"
	want := digest.FromString(content)
	for name, c := range map[string]struct {
		content string
		size    int64
		ok      bool
	}{
		"the same":                {content, int64(len(content)), true},
		"size not known":          {content, -1, true},
		"cut":                     {content[:5], int64(len(content)), false},
		"cut, size not known":     {content[:5], -1, false},
		"longer":                  {content + "!", int64(len(content)), false},
		"one byte changed":        {"The bytes of a layer", int64(len(content)), false},
		"right bytes, wrong size": {content, 7, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := iotest.OneByteReader(strings.NewReader(c.content))
			r, err := blob.NewReader(io.NopCloser(in), want, c.size)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if c.ok && (err != nil || string(got) != content) {
				t.Errorf("read %q, %v; want %q", got, err, content)
			}
			if !c.ok && !errors.Is(err, blob.ErrMismatch) {
				t.Errorf("read %q, %v; want ErrMismatch", got, err)
			}
			if c.size >= 0 && int64(len(got)) > c.size {
				t.Errorf("%d bytes passed on, more than the %d promised", len(got), c.size)
			}
			if _, again := r.Read(make([]byte, 1)); !c.ok && !errors.Is(again, blob.ErrMismatch) {
				t.Errorf("read after the error: %v, want it again", again)
			}
		})
	}
}

func TestReaderPassesOnErrors(t *testing.T) {
	broken := errors.New("connection lost")
	r, err := blob.NewReader(io.NopCloser(iotest.ErrReader(broken)), digest.FromString(""), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, broken) {
		t.Errorf("read: %v, want the cause", err)
	}
}

func TestReaderRefusesBadDigests(t *testing.T) {
	for _, d := range []digest.Digest{"", "sha256:", "sha256:../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
		if _, err := blob.NewReader(io.NopCloser(strings.NewReader("")), d, -1); err == nil {
			t.Errorf("digest %q was accepted", d)
		}
	}
}
