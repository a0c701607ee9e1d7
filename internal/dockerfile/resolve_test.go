package dockerfile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

// catalog holds images by reference; there are no others.
type catalog map[string]dockerspec.DockerOCIImage

func (c catalog) Resolve(_ context.Context, ref string, p ocispec.Platform) (*plan.Image, error) {
	config, ok := c[ref]
	if !ok {
		return nil, fmt.Errorf("%s: not found", ref)
	}
	if config.OS == "" {
		config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	}
	return &plan.Image{Ref: ref, Name: ref, Config: &config}, nil
}

func TestOnlyWhatTheTargetNeeds(t *testing.T) {
	const text = `
FROM missing AS unused
RUN --mount=type=nonsense make
FROM alpine AS builder
RUN make
FROM scratch
COPY --from=Builder /out /
`
	p := resolve(t, text, dockerfile.Options{Images: catalog{"alpine": {}}})
	if len(p.Stages) != 2 || p.Stages[0].Name != "builder" || p.Target != p.Stages[1] {
		t.Errorf("stages are %v, want builder and the last", p.Stages)
	}
}

func TestTargets(t *testing.T) {
	const text = "FROM scratch AS One\nFROM scratch AS two\nFROM scratch\n"
	for target, want := range map[string]int{"": 2, "one": 0, "ONE": 0, "two": 1, "0": 0, "1": 1, "2": 2} {
		if p := resolve(t, text, dockerfile.Options{Target: target}); p.Target.Index != want {
			t.Errorf("target %q is stage %d, want %d", target, p.Target.Index, want)
		}
	}
}

// meeting answers look-ups only when all that are expected are under way.
type meeting struct {
	catalog
	expected int

	mu    sync.Mutex
	asked []string
	all   chan struct{}
}

func (m *meeting) Resolve(ctx context.Context, ref string, p ocispec.Platform) (*plan.Image, error) {
	m.mu.Lock()
	m.asked = append(m.asked, ref)
	if len(m.asked) == m.expected {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
		return m.catalog.Resolve(ctx, ref, p)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func TestImagesAreLookedUpOnceAndSideBySide(t *testing.T) {
	const text = `
FROM alpine AS a
FROM alpine AS b
FROM debian AS c
FROM scratch
COPY --from=a / /a
COPY --from=b / /b
COPY --from=c / /c
COPY --from=tools / /t
RUN --mount=from=tools,target=/t make
`
	images := &meeting{
		catalog:  catalog{"alpine": {}, "debian": {}, "tools": {}},
		expected: 3, all: make(chan struct{}),
	}
	resolve(t, text, dockerfile.Options{Images: images})
	slices.Sort(images.asked)
	if want := []string{"alpine", "debian", "tools"}; !slices.Equal(images.asked, want) {
		t.Errorf("looked up %q, want %q", images.asked, want)
	}
}

func TestAFailedLookUpNamesTheCause(t *testing.T) {
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM alpine\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user has had enough")
	cancel(cause)
	_, _, err = dockerfile.Resolve(ctx, f, dockerfile.Options{Images: &meeting{expected: 2, all: make(chan struct{})}})
	if !errors.Is(err, cause) {
		t.Errorf("error is %v, want %v", err, cause)
	}
}

// A File is a value: resolving it does not change it.
func TestOneFileManyResolutions(t *testing.T) {
	const text = `
ARG V=default
FROM alpine AS base
ARG V
ENV E=$V
EXPOSE $V
COPY --chown=$V a$V b$V
RUN --mount=type=cache,id=$V,target=/c make
LABEL l=$V
FROM base
ONBUILD RUN x
`
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			value := fmt.Sprint(1000 + i)
			p, _, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{
				Images: catalog{"alpine": {}}, BuildArgs: map[string]string{"V": value},
			})
			if err != nil {
				t.Error(err)
				return
			}
			steps := p.Stages[0].Steps
			got := []string{steps[3].Op.(*plan.Copy).Sources[0].Path, steps[4].Op.(*plan.Run).Mounts[0].ID, p.Target.Config().Config.Labels["l"]}
			if want := []string{"a" + value, value, value}; !slices.Equal(got, want) {
				t.Errorf("V=%s gives %q, want %q", value, got, want)
			}
		})
	}
	wg.Wait()
}

// Every step has its own config: a later one does not show through.
func TestConfigsAreValues(t *testing.T) {
	const text = `
FROM base
ENV A=1
LABEL l=1
EXPOSE 1
VOLUME /1
CMD ["1"]
ONBUILD RUN 1
ENV A=2 B=2
LABEL l=2 m=2
EXPOSE 2
VOLUME /2
CMD ["2"]
ONBUILD RUN 2
`
	base := withEnv("A=0")
	base.Config.Labels = map[string]string{"l": "0"}
	base.Config.Env = slices.Grow(base.Config.Env, 10) // an append would write into it
	images := catalog{"base": base}
	p := resolve(t, text, dockerfile.Options{Images: images})
	var seen []string
	for _, step := range append([]*plan.Step{{Config: p.Target.Base.Config}}, p.Target.Steps...) {
		c := step.Config.Config
		seen = append(seen, fmt.Sprint(c.Env[1:], c.Labels, len(c.ExposedPorts), len(c.Volumes), c.Cmd, c.OnBuild))
	}
	want := []string{
		"[A=0] map[l:0] 0 0 [] []",
		"[A=1] map[l:0] 0 0 [] []",
		"[A=1] map[l:1] 0 0 [] []",
		"[A=1] map[l:1] 1 0 [] []",
		"[A=1] map[l:1] 1 1 [] []",
		"[A=1] map[l:1] 1 1 [1] []",
		"[A=1] map[l:1] 1 1 [1] [RUN 1]",
		"[A=2 B=2] map[l:1] 1 1 [1] [RUN 1]",
		"[A=2 B=2] map[l:2 m:2] 1 1 [1] [RUN 1]",
		"[A=2 B=2] map[l:2 m:2] 2 1 [1] [RUN 1]",
		"[A=2 B=2] map[l:2 m:2] 2 2 [1] [RUN 1]",
		"[A=2 B=2] map[l:2 m:2] 2 2 [2] [RUN 1]",
		"[A=2 B=2] map[l:2 m:2] 2 2 [2] [RUN 1 RUN 2]",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("configs, - want, + got:\n%s", diff)
	}
}

func TestProxiesReachRunAndAreHidden(t *testing.T) {
	const text = `
FROM alpine
RUN first
ARG HTTPS_PROXY
ENV no_proxy=mine
RUN second
`
	p := resolve(t, text, dockerfile.Options{Images: catalog{"alpine": {}}, BuildArgs: map[string]string{
		"http_proxy": "http://a", "HTTPS_PROXY": "http://b", "No_Proxy": "c",
	}})
	first, second := p.Target.Steps[0], p.Target.Steps[3]
	all := []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"}
	if hidden := first.Op.(*plan.Run).HiddenEnv; !slices.Equal(hidden, all) {
		t.Errorf("hidden are %q, want %q", hidden, all)
	}
	if h := first.History.CreatedBy; h != "RUN /bin/sh -c first # buildkit" {
		t.Errorf("history is %q", h)
	}
	op := second.Op.(*plan.Run)
	if slices.Contains(op.HiddenEnv, "HTTPS_PROXY") {
		t.Errorf("HTTPS_PROXY is declared, but hidden: %q", op.HiddenEnv)
	}
	for _, want := range []string{"HTTP_PROXY=http://a", "http_proxy=http://a", "HTTPS_PROXY=http://b", "https_proxy=http://b", "no_proxy=c"} {
		if !slices.Contains(op.Env, want) {
			t.Errorf("RUN does not see %s: %q", want, op.Env)
		}
	}
	if h := second.History.CreatedBy; h != "RUN |1 HTTPS_PROXY=http://b /bin/sh -c second # buildkit" {
		t.Errorf("history is %q", h)
	}
}

func TestPlatformOfTheResult(t *testing.T) {
	image := withEnv()
	image.Platform = ocispec.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}
	arm := ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	for _, c := range []struct {
		text, want string
		platform   *ocispec.Platform
	}{
		{text: "FROM base\n", want: "linux/amd64/v3"},
		{text: "FROM base\n", want: "linux/arm64/", platform: &arm},
		{text: "FROM base\nENV A=b\n", want: "linux/arm64/", platform: &arm},
		{text: "FROM scratch\n", want: "linux/amd64/"},
		{text: "FROM scratch\n", want: "linux/arm64/", platform: &arm},
	} {
		p := resolve(t, c.text, dockerfile.Options{
			Images: catalog{"base": image}, Platform: c.platform,
			BuildPlatform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		})
		got := p.Target.Config().Platform
		if got := got.OS + "/" + got.Architecture + "/" + got.Variant; got != c.want {
			t.Errorf("%q for %v: config says %s, want %s", c.text, c.platform, got, c.want)
		}
	}
}

func TestArgumentsForTheBuilder(t *testing.T) {
	const text = "ARG SOURCE_DATE_EPOCH=7\nFROM alpine as x\nARG SOURCE_DATE_EPOCH\nRUN --mount=type=cache,target=/c make\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	images := catalog{"alpine": {}}
	p, warnings, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{Images: images, BuildArgs: map[string]string{
		"BUILDKIT_CACHE_MOUNT_NS": "ci", "BUILDKIT_DOCKERFILE_CHECK": "skip=FromAsCasing", "SOURCE_DATE_EPOCH": "42",
		"BUILDKIT_SANDBOX_HOSTNAME": "host",
	}})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	if p.Epoch == nil || !p.Epoch.Equal(time.Unix(42, 0)) {
		t.Errorf("epoch is %v, want 42", p.Epoch)
	}
	run := p.Target.Steps[1].Op.(*plan.Run)
	if id := run.Mounts[0].ID; id != "ci//c" {
		t.Errorf("cache is called %q, want ci//c", id)
	}
	if run.Hostname != "host" {
		t.Errorf("host is called %q", run.Hostname)
	}
	if !slices.Contains(run.Env, "SOURCE_DATE_EPOCH=42") {
		t.Errorf("RUN sees %q", run.Env)
	}
	if p := resolve(t, text, dockerfile.Options{Images: images, BuildArgs: map[string]string{"SOURCE_DATE_EPOCH": ""}}); p.Epoch != nil {
		t.Errorf("epoch is %v, want none: the argument is empty", p.Epoch)
	}
	if p := resolve(t, text, dockerfile.Options{Images: images}); p.Epoch == nil || !p.Epoch.Equal(time.Unix(7, 0)) {
		t.Errorf("epoch is %v, want the default of the ARG, 7", p.Epoch)
	}
}

// chain returns a Dockerfile of n stages, each on the one before, each copying
// from another, each with some instructions.
func chain(n int) []byte {
	var b strings.Builder
	b.WriteString("ARG V=1\nFROM alpine AS stage0\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "FROM stage%d AS stage%d\nARG V\nENV E%d=$V\nWORKDIR /w%d\nCOPY --from=stage%d a$V b\nRUN make $E%d\nLABEL l%d=${V:-x}\n",
			i-1, i, i%50, i, i/2, i%50, i%50)
	}
	return []byte(b.String())
}

func TestFiveHundredStages(t *testing.T) {
	p := resolve(t, string(chain(500)), dockerfile.Options{Images: catalog{"alpine": {}}})
	if len(p.Stages) != 500 || p.Target.Index != 499 {
		t.Errorf("plan has %d stages, its target is %d", len(p.Stages), p.Target.Index)
	}
}

func BenchmarkFiveHundredStages(b *testing.B) {
	text := chain(500)
	for b.Loop() {
		f, err := dockerfile.Parse("Dockerfile", text)
		if err != nil {
			b.Fatal(err)
		}
		p, _, err := dockerfile.Resolve(b.Context(), f, dockerfile.Options{Images: catalog{"alpine": {}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := plan.Keys(b.Context(), p, pathInputs{}); err != nil {
			b.Fatal(err)
		}
	}
}
