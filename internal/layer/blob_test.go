package layer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// source is a Source that counts.
type source struct {
	data           []byte
	err            error // comes after data instead of the end
	opened, closed int
}

func (s *source) Open(context.Context) (io.ReadCloser, error) {
	s.opened++
	var r io.Reader = bytes.NewReader(s.data)
	if s.err != nil {
		r = io.MultiReader(r, iotest.ErrReader(s.err))
	}
	return &counted{r, s}, nil
}

type counted struct {
	io.Reader
	s *source
}

func (c *counted) Close() error {
	c.s.closed++
	return nil
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func remote(src layer.Source, plain []byte, indexes layer.Indexes) *layer.Layer {
	return layer.Remote(ocispec.Descriptor{}, digest.FromBytes(plain), src, indexes)
}

func TestRemoteLayer(t *testing.T) {
	plain := tarOf(t, file("a", "hello"), link("b", "a"))
	for name, data := range map[string][]byte{"gzip": zipped(t, plain), "plain": plain} {
		t.Run(name, func(t *testing.T) {
			src := &source{data: data}
			entries, contents := read(t, remote(src, plain, nil).Changes(t.Context()))
			if got := lines(entries); got != "file a\nlink b -> a\n" || contents["a"] != "hello" {
				t.Errorf("got %q with %q", got, contents)
			}
			if src.opened != 1 || src.closed != 1 {
				t.Errorf("opened %d times, closed %d times", src.opened, src.closed)
			}
		})
	}
}

func TestWhatFollowsTheTarBelongsToTheDiffID(t *testing.T) {
	plain := append(tarOf(t, file("a", "hello")), strings.Repeat("\x00padding", 10000)...)
	if err := firstError(remote(&source{data: zipped(t, plain)}, plain, nil).Changes(t.Context())); err != nil {
		t.Errorf("a padded tar: %v", err)
	}
	err := firstError(remote(&source{data: zipped(t, append(plain, 'x'))}, plain, nil).Changes(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "content has the digest") {
		t.Errorf("one byte too many: error is %v", err)
	}
}

func TestDamagedBlobs(t *testing.T) {
	plain := tarOf(t, file("a", string(noise(300<<10))))
	data := zipped(t, plain)
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	lost := errors.New("connection lost")
	cases := map[string]*source{
		"truncated":               {data: data[:len(data)/2]},
		"truncated at the end":    {data: data[:len(data)-1]},
		"a bit flipped":           {data: flipped},
		"garbage after it":        {data: append(bytes.Clone(data), "garbage"...)},
		"another layer":           {data: zipped(t, tarOf(t, file("a", "other")))},
		"nothing":                 {},
		"lost on the way":         {data: data[:1000], err: lost},
		"wrong, seen at the end":  {data: data, err: lost},
		"lost before it began":    {err: lost},
		"not a tar":               {data: zipped(t, []byte(strings.Repeat("text ", 1000)))},
		"a tar without a trailer": {data: zipped(t, plain[:512])},
	}
	for name, src := range cases {
		t.Run(name, func(t *testing.T) {
			l := remote(src, plain, nil)
			err := firstError(l.Changes(t.Context()))
			if err == nil {
				t.Error("it was taken for the layer")
			}
			if src.err != nil && !errors.Is(err, src.err) {
				t.Errorf("error is %v, want %v", err, src.err)
			}
			if src.closed != 1 {
				t.Errorf("closed %d times", src.closed)
			}
			if _, err := l.Index(t.Context()); err == nil {
				t.Error("there is an index")
			}
		})
	}
}

func TestStoppingEarlyClosesTheBlob(t *testing.T) {
	plain := tarOf(t, file("a", string(noise(3<<20))), file("b", ""))
	src := &source{data: zipped(t, plain)}
	for c, err := range remote(src, plain, nil).Changes(t.Context()) {
		if err != nil || c.Path != "a" {
			t.Fatal(c.Path, err)
		}
		break
	}
	if src.closed != 1 {
		t.Errorf("closed %d times", src.closed)
	}
}

func TestIndexIsReadOnce(t *testing.T) {
	plain := tarOf(t, file("a", "hello"))
	data := zipped(t, plain)
	want := []layer.Entry{{Path: "a", Type: layer.Regular, Mode: 0o644, Size: 5, ModTime: when, Content: sum("hello")}}

	t.Run("asked for twice", func(t *testing.T) {
		src := &source{data: data}
		l := remote(src, plain, nil)
		for range 2 {
			index, err := l.Index(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equalEntries(t, index, want)
		}
		if src.opened != 1 {
			t.Errorf("opened %d times", src.opened)
		}
	})
	t.Run("after the changes were read", func(t *testing.T) {
		src, indexes := &source{data: data}, memoryIndexes{}
		l := remote(src, plain, indexes)
		for range l.Changes(t.Context()) { // without reading any content
		}
		index, err := l.Index(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equalEntries(t, index, want)
		if src.opened != 1 || len(indexes) != 1 {
			t.Errorf("opened %d times, %d indexes kept", src.opened, len(indexes))
		}
	})
	t.Run("kept by an earlier build", func(t *testing.T) {
		src, indexes := &source{data: data}, memoryIndexes{}
		for range 2 {
			index, err := remote(src, plain, indexes).Index(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equalEntries(t, index, want)
		}
		if src.opened != 1 {
			t.Errorf("opened %d times", src.opened)
		}
	})
	t.Run("not after a part of the changes", func(t *testing.T) {
		src, indexes := &source{data: data}, memoryIndexes{}
		for range remote(src, plain, indexes).Changes(t.Context()) {
			break
		}
		if len(indexes) != 0 {
			t.Error("an index was kept")
		}
	})
}

func TestCancelWhileAnotherMakesTheIndex(t *testing.T) {
	waiting := make(chan struct{})
	src := blocked{opened: make(chan struct{}), until: waiting}
	l := remote(src, nil, nil)
	first := make(chan error)
	go func() {
		_, err := l.Index(t.Context())
		first <- err
	}()
	<-src.opened
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Index(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	close(waiting)
	if err := <-first; !errors.Is(err, errBlocked) {
		t.Errorf("error is %v, want %v", err, errBlocked)
	}
}

// blocked is a Source that opens only when it may.
type blocked struct{ opened, until chan struct{} }

var errBlocked = errors.New("was blocked")

func (b blocked) Open(context.Context) (io.ReadCloser, error) {
	close(b.opened)
	<-b.until
	return nil, errBlocked
}
