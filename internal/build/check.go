package build

import (
	"context"
	"errors"

	"github.com/kiln-build/kiln/internal/dockerfile"
)

// Check returns what the checks find in the Dockerfile that o names, in all of
// its stages unless o has a target. Base images are looked up; nothing is run.
func Check(ctx context.Context, o Options) (_ []dockerfile.Warning, err error) {
	r, err := openRooms(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	file, err := dockerfile.Parse(r.dockerfile.Name, r.dockerfile.Content)
	if err != nil {
		return nil, err
	}
	options, err := r.resolveOptions()
	if err != nil {
		return nil, err
	}
	return dockerfile.Lint(ctx, file, options)
}
