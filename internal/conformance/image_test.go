package conformance_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// An image is what a builder made, read in a way that shares no code with kiln:
// a fault of kiln's own reader could not be seen with it.
type image struct {
	config imageConfig
	layers []imageLayer
	// mediaTypes are those of the manifest, the config and the layers; none for
	// what docker save wrote.
	mediaTypes  []string
	annotations map[string]string
}

// An imageLayer is a layer's tar, uncompressed.
type imageLayer struct {
	tar    []byte
	diffID string
}

// imageConfig is the config file of an image, as the OCI image specification
// and Docker's describe it.
type imageConfig struct {
	Author       string
	Architecture string
	Variant      string
	OS           string `json:"os"`
	Created      string
	Config       struct {
		User         string
		ExposedPorts map[string]struct{}
		Env          []string
		Entrypoint   []string
		Cmd          []string
		Volumes      map[string]struct{}
		WorkingDir   string
		Labels       map[string]string
		StopSignal   string
		Shell        []string
		OnBuild      []string
		Healthcheck  json.RawMessage
	}
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	}
	History []struct {
		CreatedBy  string `json:"created_by"`
		EmptyLayer bool   `json:"empty_layer"`
		Comment    string
	}
}

// readImage reads an archive of an OCI layout or of docker save.
func readImage(file string) (*image, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	files := make(map[string][]byte)
	links := make(map[string]string)
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			if files[name], err = io.ReadAll(r); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
		case tar.TypeSymlink: // docker save links equal layers
			links[name] = path.Join(path.Dir(name), h.Linkname)
		}
	}
	for name, target := range links {
		files[name] = files[target]
	}
	if _, isLayout := files["oci-layout"]; isLayout {
		return readLayout(files)
	}
	return readSaved(files)
}

// descriptor names a blob.
type descriptor struct {
	MediaType string
	Digest    string
	Size      int64
}

// readLayout reads an image in an OCI layout, checking every digest and size on
// the way.
func readLayout(files map[string][]byte) (*image, error) {
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		return nil, fmt.Errorf("read index.json: %w", err)
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("read index.json: it has %d manifests, not 1", len(index.Manifests))
	}
	var manifest struct {
		MediaType     string
		SchemaVersion int
		Config        descriptor
		Layers        []descriptor
		Annotations   map[string]string
	}
	if err := readBlob(files, index.Manifests[0], &manifest); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if manifest.SchemaVersion != 2 {
		return nil, fmt.Errorf("read manifest: its schema version is %d, not 2", manifest.SchemaVersion)
	}
	img := &image{
		mediaTypes:  []string{index.Manifests[0].MediaType, manifest.Config.MediaType},
		annotations: manifest.Annotations,
	}
	if err := readBlob(files, manifest.Config, &img.config); err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	for _, d := range manifest.Layers {
		img.mediaTypes = append(img.mediaTypes, d.MediaType)
		blob, err := findBlob(files, d)
		if err != nil {
			return nil, fmt.Errorf("read layer: %w", err)
		}
		if err := img.addLayer(blob); err != nil {
			return nil, err
		}
	}
	return img, img.check()
}

// readBlob decodes the JSON in a blob.
func readBlob(files map[string][]byte, d descriptor, into any) error {
	data, err := findBlob(files, d)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// findBlob gives a blob that is what its descriptor says.
func findBlob(files map[string][]byte, d descriptor) ([]byte, error) {
	algorithm, hex, _ := strings.Cut(d.Digest, ":")
	data, has := files["blobs/"+algorithm+"/"+hex]
	switch {
	case !has:
		return nil, fmt.Errorf("there is no blob %s", d.Digest)
	case digestOf(data) != d.Digest:
		return nil, fmt.Errorf("blob %s has the digest %s", d.Digest, digestOf(data))
	case int64(len(data)) != d.Size:
		return nil, fmt.Errorf("blob %s has %d bytes, not %d", d.Digest, len(data), d.Size)
	}
	return data, nil
}

// readSaved reads an archive of docker save.
func readSaved(files map[string][]byte) (*image, error) {
	var manifests []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifests); err != nil {
		return nil, fmt.Errorf("read manifest.json: %w", err)
	}
	if len(manifests) != 1 {
		return nil, fmt.Errorf("read manifest.json: it has %d images, not 1", len(manifests))
	}
	img := &image{}
	if err := json.Unmarshal(files[manifests[0].Config], &img.config); err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	for _, name := range manifests[0].Layers {
		data, has := files[name]
		if !has {
			return nil, fmt.Errorf("there is no layer %s", name)
		}
		if err := img.addLayer(data); err != nil {
			return nil, err
		}
	}
	return img, img.check()
}

func (img *image) addLayer(blob []byte) error {
	data, err := decompress(blob)
	if err != nil {
		return fmt.Errorf("decompress layer: %w", err)
	}
	img.layers = append(img.layers, imageLayer{tar: data, diffID: digestOf(data)})
	return nil
}

// check holds the layers against what the config says of them.
func (img *image) check() error {
	if got, want := len(img.layers), len(img.config.RootFS.DiffIDs); got != want {
		return fmt.Errorf("there are %d layers and %d diff IDs", got, want)
	}
	for i, l := range img.layers {
		if l.diffID != img.config.RootFS.DiffIDs[i] {
			return fmt.Errorf("layer %d has the diff ID %s, the config says %s", i, l.diffID, img.config.RootFS.DiffIDs[i])
		}
	}
	filled := 0
	for _, h := range img.config.History {
		if !h.EmptyLayer {
			filled++
		}
	}
	if filled != len(img.layers) {
		return fmt.Errorf("history has %d entries with layers, but there are %d layers", filled, len(img.layers))
	}
	return nil
}

func digestOf(data []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data))
}

// entries walks a layer's tar.
func (l imageLayer) entries(visit func(h *tar.Header, content []byte) error) error {
	for r := tar.NewReader(bytes.NewReader(l.tar)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read layer: %w", err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Name, err)
		}
		if err := visit(h, content); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}
