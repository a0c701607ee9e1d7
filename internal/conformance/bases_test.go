package conformance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// baseTime is when base images were made: a time no build can have.
var baseTime = time.Date(2003, 3, 3, 3, 3, 3, 0, time.UTC)

// defaultPath is the PATH of images that do not set one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// baseEntries is the root file system of registry.test/base, but for busybox: a
// small distribution with a few users.
const baseEntries = `
dir bin
dir dev
dir etc
file etc/group 0644 0:0 "root:x:0:\ndaemon:x:1:\nbin:x:2:\naudio:x:29:sup\nwww:x:33:\nvideo:x:44:app,sup\napp:x:1000:\nsup:x:1001:\nstaff:x:50:sup\n"
file etc/hostname 0644 0:0 "base\n"
file etc/hosts 0644 0:0 "127.0.0.1 localhost\n"
file etc/passwd 0644 0:0 "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nwww:x:33:33:www:/srv:/bin/false\napp:x:1000:1000:app:/home/app:/bin/sh\nsup:x:1001:1001:sup:/home/sup:/bin/sh\nmixed:x:1002:33:mixed:/nowhere:/bin/sh\n"
file etc/resolv.conf 0644 0:0 "nameserver 192.0.2.1\n"
dir home
dir home/app 0750 1000:1000
file home/app/notes 0600 1000:1000 "notes\n"
dir home/sup 0755 1001:1001
dir proc 0555
dir root 0700
dir run
dir srv
dir srv/data 2775 33:33
file srv/data/a 0644 33:33 "a\n"
file srv/data/b 0644 33:33 "b\n"
dir srv/data/sub 0700 33:33
file srv/data/sub/c 0644 33:33 "c\n"
symlink srv/link data
symlink srv/absolute /srv/data
symlink srv/dangling nowhere
symlink srv/loop loop
symlink srv/up ../../../../srv/data
symlink srv/file data/a
dir sys 0555
dir tmp 1777
dir usr
dir usr/bin
dir usr/lib
file usr/lib/one 0644 0:0 "shared\n"
link usr/lib/two usr/lib/one
link usr/lib/three usr/lib/one
dir var
dir var/log
symlink var/run ../run
`

// busyboxPath is where Debian's package busybox-static puts it.
const busyboxPath = "/bin/busybox"

// makeBase makes registry.test/base. A base without /dev, /proc and the files
// that builders mount is called bare.
func makeBase(bare bool) (v1.Image, error) {
	entries, err := parsePreamble(baseEntries)
	if err != nil {
		return nil, err
	}
	if bare {
		entries = keepEntries(entries, "bin", "etc/passwd", "etc/group", "tmp")
	}
	busybox, err := busyboxEntries()
	if err != nil {
		return nil, err
	}
	config := &v1.ConfigFile{Config: v1.Config{Env: []string{"PATH=" + defaultPath}, Cmd: []string{"sh"}}}
	spec := imageSpec{config: config, format: "docker", layers: [][]command{append(entries, busybox...)}}
	return spec.build(empty.Image)
}

// keepEntries picks entries by name, and the directories above them.
func keepEntries(entries []command, names ...string) []command {
	keep := make(map[string]bool)
	for _, name := range names {
		for ; name != "."; name = path.Dir(name) {
			keep[name] = true
		}
	}
	var kept []command
	for _, e := range entries {
		if keep[e.arg(0)] {
			kept = append(kept, e)
		}
	}
	return kept
}

// busyboxEntries is busybox of this machine with a link for each of its
// programs.
func busyboxEntries() ([]command, error) {
	binary, err := os.ReadFile(busyboxPath)
	if err != nil {
		return nil, err
	}
	entries := []command{{words: []string{"file", "bin/busybox", "0755", "0:0", string(binary)}}}
	list, err := exec.Command(busyboxPath, "--list").Output()
	if err != nil {
		return nil, err
	}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			entries = append(entries, command{words: []string{"symlink", "bin/" + applet, "busybox"}})
		}
	}
	return entries, nil
}

// An imageSpec is what an image is made of.
type imageSpec struct {
	config      *v1.ConfigFile
	format      string // "oci" or "docker"
	annotations map[string]string
	layers      [][]command
}

// parseImage reads the commands below "image".
func parseImage(cmd command, from *v1.ConfigFile) (imageSpec, error) {
	spec := imageSpec{config: from.DeepCopy(), format: "docker", annotations: make(map[string]string)}
	for _, c := range cmd.body {
		switch c.name() {
		case "config":
			if err := json.Unmarshal([]byte(c.text), &spec.config.Config); err != nil {
				return imageSpec{}, fmt.Errorf("line %d: %w", c.line, err)
			}
		case "platform":
			p, err := v1.ParsePlatform(c.arg(0))
			if err != nil {
				return imageSpec{}, err
			}
			spec.config.OS, spec.config.Architecture, spec.config.Variant = p.OS, p.Architecture, p.Variant
		case "format":
			spec.format = c.arg(0)
		case "annotation":
			spec.annotations[c.arg(0)] = c.arg(1)
		case "layer":
			spec.layers = append(spec.layers, c.body)
		default:
			return imageSpec{}, fmt.Errorf("line %d: %q is nothing of an image", c.line, c.name())
		}
	}
	return spec, nil
}

// build makes the image on top of another.
func (s imageSpec) build(from v1.Image) (v1.Image, error) {
	img, layerType := from, types.DockerUncompressedLayer
	if s.format == "oci" {
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
		layerType = types.OCIUncompressedLayer
	} else {
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.DockerManifestSchema2), types.DockerConfigJSON)
	}
	if s.config.OS == "" {
		s.config.OS, s.config.Architecture = "linux", goArch
	}
	s.config.Created = v1.Time{Time: baseTime}
	img, err := mutate.ConfigFile(img, s.config)
	if err != nil {
		return nil, err
	}
	for i, entries := range s.layers {
		data, err := writeTar(entries)
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer:   static.NewLayer(data, layerType),
			History: v1.History{Created: v1.Time{Time: baseTime}, CreatedBy: fmt.Sprintf("layer %d", i)},
		})
		if err != nil {
			return nil, err
		}
	}
	if len(s.annotations) > 0 {
		img = mutate.Annotations(img, s.annotations).(v1.Image)
	}
	return img, nil
}

// images are the base images of a case.
type images struct {
	host string // of the registry, for push
	repo string // of this case's images
	made map[string]v1.Image
}

// provide makes the images of a case and pushes them. Layouts are written into
// dir, and their paths returned by name.
func (im *images) provide(c *testCase, base, bare v1.Image, dir string) (map[string]string, error) {
	im.made = map[string]v1.Image{"base": base, "bare": bare, "scratch": empty.Image}
	layouts := make(map[string]string)
	for _, cmd := range c.commands {
		var err error
		switch cmd.name() {
		case "image":
			err = im.image(cmd)
		case "index":
			err = im.index(cmd)
		case "layout":
			layouts[cmd.arg(0)], err = im.layout(cmd, dir)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", c.file, cmd.line, err)
		}
	}
	return layouts, nil
}

func (im *images) image(cmd command) error {
	fromName := cmd.arg(1)
	if fromName == "" {
		fromName = "base"
	}
	from, known := im.made[fromName]
	if !known {
		return fmt.Errorf("there is no image %q", fromName)
	}
	config, err := from.ConfigFile()
	if err != nil {
		return err
	}
	spec, err := parseImage(cmd, config)
	if err != nil {
		return err
	}
	img, err := spec.build(from)
	if err != nil {
		return err
	}
	im.made[cmd.arg(0)] = img
	ref, err := im.reference(cmd.arg(0))
	if err != nil {
		return err
	}
	return remote.Write(ref, img)
}

func (im *images) index(cmd command) error {
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, of := range cmd.words[2:] {
		img, known := im.made[of]
		if !known {
			return fmt.Errorf("there is no image %q", of)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: config.Platform()},
		})
	}
	ref, err := im.reference(cmd.arg(0))
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index)
}

// layout writes an image as an OCI layout.
func (im *images) layout(cmd command, dir string) (string, error) {
	img, known := im.made[cmd.arg(1)]
	if !known {
		return "", fmt.Errorf("there is no image %q", cmd.arg(1))
	}
	target := path.Join(dir, cmd.arg(0))
	l, err := layout.Write(target, empty.Index)
	if err != nil {
		return "", err
	}
	return target, l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
}

// reference is the name of one of this case's images.
func (im *images) reference(image string) (name.Reference, error) {
	return name.ParseReference(im.host+"/"+im.repo+"/"+image, name.Insecure)
}
