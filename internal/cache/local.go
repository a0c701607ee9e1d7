package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
)

// Hit is what a cache knows of a step.
type Hit struct {
	// Layer is the step's layer.
	Layer *layer.Layer
	// Created is when it was made.
	Created time.Time
}

// Records keeps small values by name.
type Records interface {
	// Record returns the value of name; the error is fs.ErrNotExist if there
	// is none.
	Record(name string) ([]byte, error)
	// PutRecord sets the value of name atomically.
	PutRecord(name string, value []byte) error
}

// Layers gives back layers whose blobs are kept.
type Layers interface {
	// Layer returns the layer that desc describes; the error is
	// fs.ErrNotExist if its blob is not there.
	Layer(desc ocispec.Descriptor, diffID digest.Digest) (*layer.Layer, error)
}

// Local is a cache in kiln's own folder.
type Local struct {
	records Records
	layers  Layers
	variant string
}

// NewLocal returns the cache kept in records and layers. variant names how
// layers are written (media type, compression, level): a step has one record
// for each, so that asking for zstd does not give what was kept as gzip.
func NewLocal(records Records, layers Layers, variant string) *Local {
	return &Local{records: records, layers: layers, variant: variant}
}

// recordVersion is raised whenever the meaning of a record changes.
const recordVersion = 1

// record is what is written down of a hit.
type record struct {
	Version int                `json:"version"`
	DiffID  digest.Digest      `json:"diffID"`
	Blob    ocispec.Descriptor `json:"blob"`
	Created time.Time          `json:"created"`
}

// Find returns the layer recorded for key, nil if there is none that can be
// used.
func (c *Local) Find(_ context.Context, key digest.Digest) (*Hit, error) {
	value, err := c.records.Record(c.name(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read cache record %s: %w", key, err)
	}
	var r record
	if json.Unmarshal(value, &r) != nil || r.Version != recordVersion {
		return nil, nil // written by another version of kiln: build the step again
	}
	l, err := c.layers.Layer(r.Blob, r.DiffID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find layer of cache record %s: %w", key, err)
	}
	return &Hit{Layer: l, Created: r.Created}, nil
}

// Keep records hit, whose layer is written, under key.
func (c *Local) Keep(ctx context.Context, key digest.Digest, hit Hit) error {
	desc, err := hit.Layer.Descriptor(ctx)
	if err != nil {
		return err
	}
	diffID, err := hit.Layer.DiffID(ctx)
	if err != nil {
		return err
	}
	value, err := json.Marshal(record{Version: recordVersion, DiffID: diffID, Blob: desc, Created: hit.Created})
	if err != nil {
		return err
	}
	if err := c.records.PutRecord(c.name(key), value); err != nil {
		return fmt.Errorf("write cache record %s: %w", key, err)
	}
	return nil
}

func (c *Local) name(key digest.Digest) string {
	return key.Encoded() + "." + c.variant
}

// WriteOnly is a cache that finds nothing and keeps everything in its inner
// one: --no-cache.
type WriteOnly struct{ *Local }

// Find finds nothing.
func (WriteOnly) Find(context.Context, digest.Digest) (*Hit, error) { return nil, nil }
