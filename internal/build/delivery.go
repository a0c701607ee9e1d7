package build

import (
	"context"
	"fmt"
	"io"

	"github.com/kiln-build/kiln/internal/image"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/progress"
	"github.com/kiln-build/kiln/internal/registry"
)

// delivery brings an image to where it is wanted. A push begins before there is
// an image: each layer is sent as soon as it is written.
type delivery struct {
	*rooms
	push *registry.Pusher // nil if nothing is pushed
}

// startDelivery begins the push. The context it returns ends when nothing can
// be delivered any more.
func (r *rooms) startDelivery(ctx context.Context) (*delivery, context.Context, error) {
	d := &delivery{rooms: r}
	if !r.Push {
		return d, ctx, nil
	}
	var err error
	d.push, ctx, err = r.registry.StartPush(ctx, r.Tags)
	return d, ctx, err
}

func (d *delivery) close() {
	if d.push != nil {
		d.push.Close()
	}
}

// layer is told each layer of the result as it is made.
func (d *delivery) layer(l *layer.Layer) {
	if d.push != nil {
		d.push.AddLayer(l)
	}
}

// finish writes the outputs, and ends the push by its manifest: when that is
// seen, everything it names is there.
func (d *delivery) finish(ctx context.Context, img *image.Image) (Result, error) {
	for _, o := range d.Outputs {
		if err := d.output(ctx, o, img); err != nil {
			return Result{}, err
		}
	}
	result := Result{
		Digest:       img.Manifest.Digest.String(),
		ConfigDigest: img.Config.Digest.String(),
		MediaType:    img.Manifest.MediaType,
		Size:         img.Manifest.Size,
	}
	if d.push == nil {
		return result, nil
	}
	err := d.push.Finish(ctx, registry.Image{
		Manifest: img.Manifest.Bytes, MediaType: img.Manifest.MediaType,
		Config: img.Config.Bytes, ConfigType: img.Config.MediaType,
		Layers: img.Layers,
	})
	if err != nil {
		return Result{}, err
	}
	result.Refs = d.Tags
	return result, nil
}

// output writes one output and reports it as a task.
func (d *delivery) output(ctx context.Context, o Output, img *image.Image) error {
	dest := o.Dest
	if dest == "-" {
		dest = "standard output"
	}
	task := d.Progress.Start(progress.Task{Name: fmt.Sprintf("write %s to %s", o.Type, dest)})
	err := d.write(ctx, o, img)
	task.End(progress.Done, err)
	if err != nil {
		return fmt.Errorf("write %s to %s: %w", o.Type, dest, err)
	}
	return nil
}

func (d *delivery) write(ctx context.Context, o Output, img *image.Image) error {
	switch o.Type {
	case "oci":
		return d.file(o.Dest, func(w io.Writer) error { return image.WriteOCI(ctx, w, img, d.Tags) })
	case "docker":
		return d.file(o.Dest, func(w io.Writer) error { return image.WriteDocker(ctx, w, img, d.Tags) })
	case "oci-layout":
		return image.WriteLayout(ctx, o.Dest, img, d.Tags)
	case "tar", "local":
		view, err := d.Layers(ctx, img.Layers)
		if err != nil {
			return err
		}
		if o.Type == "local" {
			return image.WriteFiles(ctx, o.Dest, view)
		}
		return d.file(o.Dest, func(w io.Writer) error { return image.WriteTar(ctx, w, view) })
	}
	return fmt.Errorf("output type %q is not known", o.Type)
}

// file writes to the standard output, or to a file that appears when it is
// complete.
func (d *delivery) file(dest string, write func(w io.Writer) error) error {
	if dest == "-" {
		return write(d.Stdout)
	}
	return image.Replace(dest, write)
}
