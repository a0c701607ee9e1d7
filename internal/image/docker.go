package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/layer"
)

// dockerArchive is the content of manifest.json in what docker load reads.
type dockerArchive struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// WriteDocker writes the image as an archive for docker load: --output
// type=docker. Docker before 23.0 does not know zstd, so layers that are packed
// so are written without compression.
func WriteDocker(ctx context.Context, w io.Writer, img *Image, tags []string) error {
	// null, and not an empty list, is what docker save writes without tags.
	list := dockerArchive{Config: img.Config.Digest.Encoded() + ".json"}
	for _, name := range tags {
		full, err := fullName(name)
		if err != nil {
			return err
		}
		list.RepoTags = append(list.RepoTags, full.String())
	}
	files := []file{inMemory(list.Config, img.Config.Bytes)}
	seen := make(map[digest.Digest]string)
	for i, l := range img.Layers {
		name, ok := seen[img.Descriptors[i].Digest]
		if !ok {
			f, err := img.dockerLayer(ctx, i, l)
			if err != nil {
				return err
			}
			name, files = f.name, append(files, f)
			seen[img.Descriptors[i].Digest] = name
		}
		list.Layers = append(list.Layers, name)
	}
	manifest, err := json.Marshal([]dockerArchive{list})
	if err != nil {
		return fmt.Errorf("make manifest.json: %w", err)
	}
	return writeArchive(ctx, w, nil, append([]file{inMemory("manifest.json", manifest)}, files...))
}

// dockerLayer returns layer i as a file of the archive.
func (img *Image) dockerLayer(ctx context.Context, i int, l *layer.Layer) (file, error) {
	blob := img.Descriptors[i]
	src, err := l.Blob(ctx)
	if err != nil {
		return file{}, err
	}
	if !strings.HasSuffix(blob.MediaType, "zstd") {
		name := blob.Digest.Encoded() + ".tar"
		if strings.HasSuffix(blob.MediaType, "gzip") {
			name += ".gz"
		}
		return file{name: name, size: blob.Size, open: src.Open}, nil
	}
	diffID, err := l.DiffID(ctx)
	if err != nil {
		return file{}, err
	}
	f := file{name: diffID.Encoded() + ".tar", open: func(ctx context.Context) (io.ReadCloser, error) { return unpacked(ctx, src) }}
	f.size, err = lengthOf(ctx, f) // a tar has the size before the content
	return f, err
}

// lengthOf reads a file for its length.
func lengthOf(ctx context.Context, f file) (n int64, err error) {
	in, err := f.open(ctx)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", f.name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if n, err = io.Copy(io.Discard, contextReader{ctx, in}); err != nil {
		return 0, fmt.Errorf("measure %s: %w", f.name, err)
	}
	return n, nil
}

// unpacked opens a blob and decompresses it.
func unpacked(ctx context.Context, src layer.Source) (io.ReadCloser, error) {
	packed, err := src.Open(ctx)
	if err != nil {
		return nil, err
	}
	plain, _, err := layer.Decompress(packed)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	return &decompressed{ReadCloser: plain, packed: packed}, nil
}

// decompressed closes the decompressor and what it reads from.
type decompressed struct {
	io.ReadCloser
	packed io.Closer
}

func (d *decompressed) Close() error {
	return errors.Join(d.ReadCloser.Close(), d.packed.Close())
}
