package step

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"runtime"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/tree"
)

// digestVersion changes whenever what goes into a digest does.
const digestVersion = "kiln copy 1"

// Digest identifies what op copies out of src: paths, types, modes, owners,
// contents, link targets and capabilities, but no times, as in BuildKit. What
// op does with it (destination, --chown and so on) is not part of it. URLs are
// downloaded, unless op names their checksum.
func (c *Copier) Digest(ctx context.Context, op *plan.Copy, src tree.View) (digest.Digest, error) {
	s, err := c.Select(op, src)
	if err != nil {
		return "", err
	}
	return s.Digest(ctx)
}

// Digest is [Copier.Digest] for a selection.
func (s *Selection) Digest(ctx context.Context) (digest.Digest, error) {
	h := newFrames()
	h.text(digestVersion)
	for _, p := range s.picks {
		if err := s.digestPick(ctx, h, p); err != nil {
			return "", err
		}
	}
	return h.sum(), nil
}

func (s *Selection) digestPick(ctx context.Context, h *frames, p pick) error {
	switch {
	case p.source.Inline != nil:
		h.text("inline")
		h.text(p.source.Inline.Name)
		h.text(string(p.source.Inline.Content))
		return nil
	case p.source.URL != "":
		return s.digestURL(ctx, h, p.source.URL)
	case p.source.Git != "":
		return s.digestGit(ctx, h, p.source.Git)
	}
	h.text("path")
	if p.root.Type != layer.Dir {
		h.text(p.name) // a directory's own name does not reach the image
	}
	return s.digestTree(ctx, h, p)
}

func (s *Selection) digestURL(ctx context.Context, h *frames, url string) error {
	h.text("url")
	h.text(urlName(url))
	if s.op.Checksum != "" {
		h.text(s.op.Checksum)
		return nil
	}
	got, err := s.fetched(ctx, url)
	if err != nil {
		return err
	}
	h.text(got.digest.String())
	return nil
}

// batch is a part of what a walk yields. Its files are hashed in the
// background, while the walk goes on.
type batch struct {
	picked []picked
	size   int64
	hashed chan struct{} // closed when all Contents are known
}

// A batch is closed when it has so many files or bytes: small enough to keep
// all processors busy and little in memory, large enough not to be felt.
const (
	batchFiles = 64
	batchBytes = 4 << 20
)

func newBatch() *batch {
	return &batch{picked: make([]picked, 0, batchFiles), hashed: make(chan struct{})}
}

// digestTree walks a pick, hashes the files side by side, and writes the
// result in the order of the walk.
func (s *Selection) digestTree(ctx context.Context, h *frames, p pick) error {
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	toHash, inOrder := make(chan *batch), make(chan *batch, 2*workers)
	for range workers {
		g.Go(func() error {
			for b := range toHash {
				if err := s.hash(ctx, b.picked); err != nil {
					return err
				}
				close(b.hashed)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(toHash)
		defer close(inOrder)
		return s.batches(p, func(b *batch) error {
			for _, queue := range []chan *batch{inOrder, toHash} {
				select {
				case queue <- b:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	})
	g.Go(func() error { return writeBatches(ctx, h, inOrder) })
	return g.Wait()
}

// batches walks p and yields what it finds in batches.
func (s *Selection) batches(p pick, yield func(*batch) error) error {
	b := newBatch()
	err := s.walk(p, func(e picked) error {
		s.count++
		b.picked = append(b.picked, e)
		b.size += e.Size
		if len(b.picked) < batchFiles && b.size < batchBytes {
			return nil
		}
		full := b
		b = newBatch()
		return yield(full)
	})
	if err != nil {
		return err
	}
	return yield(b)
}

func writeBatches(ctx context.Context, h *frames, inOrder <-chan *batch) error {
	names := make(map[string]string)
	for b := range inOrder {
		select {
		case <-b.hashed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for i := range b.picked {
			h.entry(&b.picked[i], names)
		}
	}
	return nil
}

// summer is a view that knows, or remembers, the digests of its files.
type summer interface {
	Sum(ctx context.Context, path string) ([sha256.Size]byte, error)
}

// hash fills in the Content of regular files.
func (s *Selection) hash(ctx context.Context, picked []picked) error {
	for i := range picked {
		e := &picked[i].Entry
		if e.Type != layer.Regular || e.Content != [sha256.Size]byte{} {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		sum, err := s.sum(ctx, e.Path)
		if err != nil {
			return fmt.Errorf("hash %s: %w", e.Path, err)
		}
		e.Content = sum
	}
	return nil
}

func (s *Selection) sum(ctx context.Context, path string) (sum [sha256.Size]byte, err error) {
	if view, ok := s.view.(summer); ok {
		return view.Sum(ctx, path)
	}
	f, err := s.view.Open(ctx, path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// frames hashes fields so that no two different lists of fields are hashed the
// same: each is preceded by its length or has a fixed one.
type frames struct {
	hash hash.Hash
	buf  []byte // not hashed yet
}

// flushAt is how much is collected before it is hashed.
const flushAt = 8 << 10

func newFrames() *frames {
	return &frames{hash: sha256.New(), buf: make([]byte, 0, flushAt+1<<10)}
}

// sum returns the digest of all fields.
func (h *frames) sum() digest.Digest {
	h.flush()
	return digest.NewDigest(digest.SHA256, h.hash)
}

func (h *frames) flush() {
	_, _ = h.hash.Write(h.buf) // a hash does not fail
	h.buf = h.buf[:0]
}

func (h *frames) text(s string) {
	h.number(uint64(len(s)))
	h.buf = append(h.buf, s...)
}

func (h *frames) number(n uint64) {
	h.buf = binary.BigEndian.AppendUint64(h.buf, n)
	if len(h.buf) >= flushAt {
		h.flush()
	}
}

// entry writes what the copy of e depends on. names maps the first names of
// files with several to the first of them that was copied.
func (h *frames) entry(e *picked, names map[string]string) {
	h.text(e.rel)
	h.number(uint64(e.Type))
	if e.rel == "" && e.Type == layer.Dir {
		return // only what is in it is copied
	}
	h.number(uint64(e.Mode)<<1 | bit(e.parent))
	h.number(uint64(e.UID)<<32 | uint64(e.GID))
	h.number(uint64(e.Major)<<32 | uint64(e.Minor))
	h.text(e.Xattrs[capabilities])
	switch e.Type {
	case layer.Regular:
		h.buf = append(h.buf, e.Content[:]...)
		h.text(firstName(e, names))
	case layer.Symlink:
		h.text(e.Linkname)
	}
}

// firstName returns the first of the names that a file with several is copied
// under, "" for other files.
func firstName(e *picked, names map[string]string) string {
	if e.Linkname == "" {
		return ""
	}
	first, ok := names[e.Linkname]
	if !ok {
		first = e.rel
		names[e.Linkname] = first
	}
	return first
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
