package dockerfile_test

import (
	"slices"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

// withEnv returns an image with variables.
func withEnv(env ...string) (image dockerspec.DockerOCIImage) {
	image.Config.Env = append([]string{"PATH=/bin"}, env...)
	return image
}

func TestContextTakesThePlaceOfAnImage(t *testing.T) {
	images := catalog{"mirror.example.com/alpine:3": withEnv("FROM=mirror")}
	for _, name := range []string{"alpine", "alpine:latest", "docker.io/library/alpine"} {
		p := resolve(t, "FROM alpine\nCOPY --from=docker.io/library/alpine:latest /a /b\n", dockerfile.Options{
			Images:   images,
			Contexts: map[string]string{name: "docker-image://mirror.example.com/alpine:3"},
		})
		if image := p.Target.Base.Image; image == nil || image.Ref != "mirror.example.com/alpine:3" {
			t.Errorf("context %s: base is %+v", name, p.Target.Base)
		}
		if from := p.Target.Steps[0].Op.(*plan.Copy).From; from.Image == nil || from.Image.Ref != "mirror.example.com/alpine:3" {
			t.Errorf("context %s: files come from %+v", name, from)
		}
	}
}

func TestContextTakesThePlaceOfAStage(t *testing.T) {
	const text = `
FROM missing AS builder
COPY --from=missing-too / /
FROM scratch
COPY --from=Builder /out /
`
	p := resolve(t, text, dockerfile.Options{
		Images:   catalog{"registry.example.com/built:1": withEnv()},
		Contexts: map[string]string{"builder": "docker-image://registry.example.com/built:1"},
	})
	builder := p.Stages[0]
	if builder.Base.Image == nil || builder.Base.Image.Ref != "registry.example.com/built:1" || len(builder.Steps) != 0 {
		t.Errorf("builder starts from %+v and has %d steps, want the context and none", builder.Base, len(builder.Steps))
	}
	if from := p.Target.Steps[0].Op.(*plan.Copy).From; from.Stage != builder {
		t.Errorf("files come from %+v, want the stage", from)
	}
}

func TestContextOfFiles(t *testing.T) {
	const text = `
FROM tree
COPY --from=tree /a /b
RUN --mount=from=tree,target=/tree --mount=type=cache,from=tree,source=seed,target=/cache make
`
	p := resolve(t, text, dockerfile.Options{Images: catalog{}, Contexts: map[string]string{"tree": "./tree"}})
	if p.Target.Base.Image != nil || p.Target.Base.Stage != nil {
		t.Errorf("base is %+v, want nothing: its files are copied", p.Target.Base)
	}
	want := plan.Origin{Context: "tree"}
	for i, step := range p.Target.Steps[:2] {
		if from := step.Op.(*plan.Copy).From; from != want {
			t.Errorf("step %d copies from %+v", i, from)
		}
	}
	for _, m := range p.Target.Steps[2].Op.(*plan.Run).Mounts {
		if m.From != want {
			t.Errorf("%s mount is from %+v", m.Type, m.From)
		}
	}
}

func TestContextOfAnOCILayout(t *testing.T) {
	const ref = "oci-layout://layouts/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	p := resolve(t, "FROM base\n", dockerfile.Options{Images: catalog{ref: withEnv()}, Contexts: map[string]string{"base": ref}})
	if p.Target.Base.Image == nil || p.Target.Base.Image.Ref != ref {
		t.Errorf("base is %+v", p.Target.Base)
	}
}

func TestScratchAndTheMainContextCannotBeReplaced(t *testing.T) {
	p := resolve(t, "FROM scratch\nCOPY a b\n", dockerfile.Options{
		Images: catalog{}, Contexts: map[string]string{"scratch": "./x", "context": "./y"},
	})
	if len(p.Target.Steps) != 1 || p.Target.Steps[0].Op.(*plan.Copy).From != (plan.Origin{}) {
		t.Errorf("steps are %v", p.Target.Steps)
	}
}

func TestScratchHasNoFiles(t *testing.T) {
	p := resolve(t, "FROM scratch\nCOPY --from=scratch / /\nRUN --mount=from=scratch,target=/m --mount=type=cache,from=scratch,target=/c x\n",
		dockerfile.Options{Images: catalog{}})
	from := p.Target.Steps[0].Op.(*plan.Copy).From
	if from.Image == nil || len(from.Image.Layers) != 0 {
		t.Errorf("COPY is from %+v, want an image without layers", from)
	}
	mounts := p.Target.Steps[1].Op.(*plan.Run).Mounts
	if from := mounts[0].From; from.Image == nil || len(from.Image.Layers) != 0 {
		t.Errorf("bind mount is from %+v, want an image without layers", from)
	}
	if from := mounts[1].From; from != (plan.Origin{}) {
		t.Errorf("cache mount is from %+v, want nothing", from)
	}
}

func TestTriggersOfAnImage(t *testing.T) {
	images := catalog{"onbuild": withEnv(), "tools": withEnv()}
	image := images["onbuild"]
	image.Config.OnBuild = []string{
		"ARG MODE=fast",
		"COPY --from=data /d /d",
		"COPY --from=tools /t /t",
		"RUN --mount=from=data,target=/data make $MODE",
		"# comment\n# check=skip=all\nWORKDIR /app",
	}
	images["onbuild"] = image
	const text = `
FROM scratch AS data
COPY d /d
FROM onbuild AS child
RUN child
FROM child
RUN grandchild
`
	p := resolve(t, text, dockerfile.Options{Images: images})
	if len(p.Stages) != 3 {
		t.Fatalf("there are %d stages, want data, child and the last", len(p.Stages))
	}
	data, child, last := p.Stages[0], p.Stages[1], p.Stages[2]
	var texts []string
	for _, step := range child.Steps {
		texts = append(texts, step.Text)
	}
	want := []string{
		"ONBUILD ARG MODE=fast",
		"ONBUILD COPY --from=data /d /d",
		"ONBUILD COPY --from=tools /t /t",
		"ONBUILD RUN --mount=from=data,target=/data make fast",
		"ONBUILD WORKDIR /app",
		"RUN child",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("steps are %q, want %q", texts, want)
	}
	if child.Steps[0].At.Start != 4 {
		t.Errorf("a trigger stands in line %d, want that of FROM, 4", child.Steps[0].At.Start)
	}
	if from := child.Steps[1].Op.(*plan.Copy).From; from.Stage != data {
		t.Errorf("the first COPY is from %+v", from)
	}
	if from := child.Steps[2].Op.(*plan.Copy).From; from.Image == nil || from.Image.Ref != "tools" {
		t.Errorf("the second COPY is from %+v", from)
	}
	if len(last.Steps) != 1 || len(last.Config().Config.OnBuild) != 0 {
		t.Errorf("triggers fire in, or are left for, a grandchild: %d steps, %q", len(last.Steps), last.Config().Config.OnBuild)
	}
}

func TestBadTriggers(t *testing.T) {
	for name, trigger := range map[string]string{
		"two instructions": "RUN a\nRUN b",
		"FROM":             "FROM x",
		"unknown":          "RNU x",
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			image := withEnv()
			image.Config.OnBuild = []string{trigger}
			f, err := dockerfile.Parse("Dockerfile", []byte("ARG A\nFROM bad\n"))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = dockerfile.Resolve(t.Context(), f, dockerfile.Options{Images: catalog{"bad": image}})
			e, ok := err.(*dockerfile.Error)
			if !ok || e.At.Start != 2 {
				t.Errorf("error is %v, want one at the FROM", err)
			}
		})
	}
}
