package layer_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/layer"
)

// everyEntry is an index with one of everything, at the limits.
func everyEntry() layer.Index {
	return layer.Index{
		{Path: ".", Type: layer.Dir, Mode: 0o755},
		{Path: "a", Type: layer.Whiteout},
		{Path: "a", Type: layer.Opaque},
		{Path: "a", Type: layer.Dir, Mode: 0o7777, UID: 1<<32 - 1, GID: 1<<32 - 1, ModTime: time.Unix(-1<<40, 999999999)},
		{Path: "a/b", Type: layer.Regular, Size: 1<<63 - 1, ModTime: when, Content: sum("b"), Xattrs: map[string]string{"user.a": "\x00", "user.b": ""}},
		{Path: "a/c", Type: layer.Link, Linkname: "a/b", ModTime: when},
		{Path: "a.b", Type: layer.Symlink, Linkname: "\xff", ModTime: when},
		{Path: "dev", Type: layer.Char, Major: 1<<32 - 1, Minor: 1<<32 - 1, ModTime: when},
		{Path: "dev2", Type: layer.Block, Major: 8, ModTime: when},
		{Path: "fifo\n", Type: layer.Fifo, ModTime: when},
	}
}

func TestEncodeAndDecode(t *testing.T) {
	for _, index := range []layer.Index{nil, everyEntry(), manyEntries(1000)} {
		data := index.Encode()
		got, err := layer.DecodeIndex(data)
		if err != nil {
			t.Fatal(err)
		}
		equalEntries(t, got, index)
		if !bytes.Equal(got.Encode(), data) {
			t.Error("encoded again it is something else")
		}
	}
}

func TestDecodeDamaged(t *testing.T) {
	data := everyEntry().Encode()
	for i := range data {
		if _, err := layer.DecodeIndex(data[:i]); err == nil {
			t.Errorf("%d of %d bytes were taken for the whole", i, len(data))
		}
	}
	if _, err := layer.DecodeIndex(append(data, 0)); err == nil {
		t.Error("a byte too many was taken")
	}
	newer := bytes.Replace(data, []byte("index\x01"), []byte("index\x02"), 1)
	if _, err := layer.DecodeIndex(newer); !errors.Is(err, layer.ErrIndexFormat) {
		t.Errorf("another version: error is %v", err)
	}
	unsorted := layer.Index{{Path: "b", Type: layer.Dir}, {Path: "a", Type: layer.Dir}}
	if _, err := layer.DecodeIndex(unsorted.Encode()); err == nil {
		t.Error("an index that is not sorted was taken")
	}
	for _, path := range []string{"", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a"} {
		if _, err := layer.DecodeIndex(layer.Index{{Path: path, Type: layer.Dir}}.Encode()); err == nil {
			t.Errorf("the path %q was taken", path)
		}
	}
}

func FuzzDecodeIndex(f *testing.F) {
	f.Add(everyEntry().Encode())
	f.Add(layer.Index{}.Encode())
	f.Add(manyEntries(10).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		index, err := layer.DecodeIndex(data)
		if err != nil {
			return
		}
		again, err := layer.DecodeIndex(index.Encode())
		if err != nil {
			t.Fatal(err)
		}
		equalEntries(t, again, index)
	})
}

func manyEntries(n int) layer.Index {
	index := make(layer.Index, 0, n)
	for i := range n / 10 {
		dir := fmt.Sprintf("usr/lib/python3/dist-packages/package-%06d", i)
		index = append(index, layer.Entry{Path: dir, Type: layer.Dir, Mode: 0o755, ModTime: when})
		for j := range 9 {
			path := fmt.Sprintf("%s/module_%d.py", dir, j)
			index = append(index, layer.Entry{Path: path, Type: layer.Regular, Mode: 0o644, Size: 12345, ModTime: when, Content: sum(path)})
		}
	}
	return index
}

func BenchmarkEncodeIndex(b *testing.B) {
	index := manyEntries(10000)
	b.ReportAllocs()
	for b.Loop() {
		index.Encode()
	}
}

func BenchmarkDecodeIndex(b *testing.B) {
	data := manyEntries(10000).Encode()
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := layer.DecodeIndex(data); err != nil {
			b.Fatal(err)
		}
	}
}
