package dockerfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/tools/txtar"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
)

// TestAgreesWithBuildKit resolves the Dockerfiles of testdata/buildkit and
// compares with what testdata/record wrote down of BuildKit: warnings, processes,
// copies, history and config. Of errors it compares that there is one, and where.
func TestAgreesWithBuildKit(t *testing.T) {
	bases := readBases(t)
	names, err := filepath.Glob("testdata/buildkit/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d archives, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			eachRecord(t, name, func(t *testing.T, text []byte, want string) {
				got := kilnRecord(t, bases, text)
				wantLines, gotLines := withoutMessage(want), withoutMessage(got)
				if slices.Contains(wantLines, noPlace) {
					gotLines = withoutPlace(gotLines) // kiln may say it better
				} else if slices.Contains(gotLines, noPlace) {
					wantLines = withoutPlace(wantLines) // it is about the whole file
				}
				if diff := cmp.Diff(wantLines, gotLines); diff != "" {
					t.Errorf("- BuildKit, + kiln:\n%s", diff)
				}
			})
		})
	}
}

// eachRecord calls test for every Dockerfile of an archive.
func eachRecord(t *testing.T, archive string, test func(t *testing.T, text []byte, want string)) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range a.Files {
		short, isDockerfile := strings.CutSuffix(f.Name, ".dockerfile")
		if !isDockerfile {
			continue
		}
		if i+1 == len(a.Files) || a.Files[i+1].Name != short+".want" {
			t.Fatalf("%s: nothing is recorded of %s; run testdata/record", archive, f.Name)
		}
		t.Run(short, func(t *testing.T) { test(t, f.Data, string(a.Files[i+1].Data)) })
	}
}

// noPlace is the line of an error that does not say where.
const noPlace = "error 0"

func withoutPlace(lines []string) []string {
	for i, line := range lines {
		if strings.HasPrefix(line, "error ") {
			lines[i] = noPlace
		}
	}
	return lines
}

// withoutMessage returns the lines of a record, of an error only its place.
func withoutMessage(record string) []string {
	lines := strings.Split(record, "\n")
	for i, line := range lines {
		if rest, isError := strings.CutPrefix(line, "error "); isError {
			number, _, _ := strings.Cut(rest, " ")
			lines[i] = "error " + number
		}
	}
	return lines
}

// readBases makes images of what is recorded in bases.txtar.
func readBases(t *testing.T) bases {
	t.Helper()
	bases := make(bases)
	a, err := txtar.ParseFile("testdata/buildkit/bases.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			bases[name] = parseConfig(t, string(f.Data))
		}
	}
	return bases
}

// bases are the base images, by name. One that has no name of its own here is as
// "base"; one that is called missing is not there.
type bases map[string]dockerspec.DockerOCIImage

func (b bases) Resolve(_ context.Context, ref string, _ ocispec.Platform) (*plan.Image, error) {
	config, ok := b[ref]
	switch {
	case strings.Contains(ref, "missing"):
		return nil, fmt.Errorf("%s: not found", ref)
	case !ok:
		config = b["base"]
	}
	only := layer.Remote(ocispec.Descriptor{}, digest.FromString(ref), nil, nil)
	return &plan.Image{Ref: ref, Name: ref, Config: &config, Layers: []*layer.Layer{only}}, nil
}

// parseConfig reads the image lines of a record.
func parseConfig(t *testing.T, record string) (image dockerspec.DockerOCIImage) {
	t.Helper()
	fields, config := make(map[string]any), make(map[string]any)
	for line := range strings.Lines(record) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if words[0] != "image" {
			continue
		}
		if name, ok := strings.CutPrefix(words[1], "config."); ok {
			config[name] = json.RawMessage(words[2])
		} else {
			fields[words[1]] = json.RawMessage(words[2])
		}
	}
	fields["config"] = config
	remarshal(t, fields, &image)
	return image
}

// configLines writes the fields of a config that say something.
func configLines(t *testing.T, image *dockerspec.DockerOCIImage) []string {
	t.Helper()
	var fields, config map[string]json.RawMessage
	remarshal(t, image, &fields)
	remarshal(t, fields["config"], &config)
	for _, name := range []string{"config", "rootfs", "history"} {
		delete(fields, name)
	}
	var lines []string
	for name, value := range fields {
		lines = append(lines, fmt.Sprintf("image %s %s", name, value))
	}
	for name, value := range config {
		if string(value) != "null" {
			lines = append(lines, fmt.Sprintf("image config.%s %s", name, value))
		}
	}
	slices.Sort(lines)
	return lines
}

// remarshal writes from as JSON and reads it into to.
func remarshal(t *testing.T, from, to any) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := errors.Join(encoder.Encode(from), json.Unmarshal(text.Bytes(), to)); err != nil {
		t.Fatal(err)
	}
}

// kilnRecord writes down what kiln makes of a Dockerfile, as testdata/record does
// of BuildKit.
func kilnRecord(t *testing.T, bases bases, text []byte) string {
	t.Helper()
	opts := optionsOf(t, text)
	opts.Images = bases
	f, err := dockerfile.Parse("Dockerfile", text)
	var p *plan.Plan
	var warnings []dockerfile.Warning
	if err == nil {
		p, warnings, err = dockerfile.Resolve(t.Context(), f, opts)
	}
	var lines []string
	for _, w := range warnings {
		if w.Rule != "SingleQuotesInJSON" { // kiln's own
			lines = append(lines, fmt.Sprintf("warning %d %s: %s", w.At.Start, w.Rule, w.Message))
		}
	}
	slices.Sort(lines)
	if err != nil {
		var located *dockerfile.Error
		if !errors.As(err, &located) {
			t.Fatalf("the error has no place: %v", err)
		}
		lines = append(lines, fmt.Sprintf("error %d %v", located.At.Start, err))
	} else {
		lines = slices.Concat(lines, stepLines(p), historyLines(p.Target), configLines(t, p.Target.Config()))
	}
	return strings.Join(lines, "\n") + "\n"
}

func stepLines(p *plan.Plan) []string {
	var lines []string
	for _, s := range p.Stages {
		for _, step := range s.Steps {
			lines = append(lines, describe(step.Op)...)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// historyLines writes what s adds to the history of its image.
func historyLines(s *plan.Stage) []string {
	var lines []string
	if s.Base.Stage != nil {
		lines = historyLines(s.Base.Stage)
	}
	for _, step := range s.Steps {
		if step.History == nil {
			continue
		}
		word := "history"
		if step.History.EmptyLayer {
			word += "-"
		}
		lines = append(lines, word+" "+strings.ReplaceAll(step.History.CreatedBy, "\n", `\n`))
	}
	return lines
}

// optionsOf reads the last line of a Dockerfile: "#args: --build-arg A=b ...".
func optionsOf(t *testing.T, text []byte) dockerfile.Options {
	t.Helper()
	opts := dockerfile.Options{
		BuildArgs:     make(map[string]string),
		BuildPlatform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
	}
	_, line, _ := strings.Cut(string(text), "\n#args: ")
	words := strings.Fields(line)
	for i := 0; i+1 < len(words); i += 2 {
		switch words[i] {
		case "--build-arg":
			key, value, _ := strings.Cut(words[i+1], "=")
			opts.BuildArgs[key] = value
		case "--target":
			opts.Target = words[i+1]
		case "--platform":
			p, err := platforms.Parse(words[i+1])
			if err != nil {
				t.Fatal(err)
			}
			opts.Platform = &p
		default:
			t.Fatalf("unknown flag %s", words[i])
		}
	}
	return opts
}

// describe says in the words of the recorder what a step does.
func describe(op plan.Op) []string {
	switch op := op.(type) {
	case *plan.Run:
		return describeRun(op)
	case *plan.Copy:
		return describeCopy(op)
	case *plan.Workdir:
		return []string{fmt.Sprintf("mkdir %s mode=755 owner=%s", op.Path, ownerText(op.User))}
	}
	return nil
}

func describeRun(op *plan.Run) []string {
	var lines, visible, mounts []string
	agents := 0
	for _, v := range op.Env {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(op.HiddenEnv, name) {
			visible = append(visible, v)
		}
	}
	for _, m := range op.Mounts {
		switch m.Type {
		case "file":
			lines = append(lines, fmt.Sprintf("file /%s mode=755 %q", path.Base(m.Target), m.Content))
			mounts = append(mounts, fmt.Sprintf("bind %s selector=/ readonly=true", path.Dir(m.Target)))
		case "secret":
			if m.Env != "" {
				mounts = append(mounts, fmt.Sprintf("env %s id=%s optional=%v", m.Env, m.ID, !m.Required))
			}
			if m.Target != "" {
				mounts = append(mounts, fmt.Sprintf("secret %s selector= readonly=false id=%s %s optional=%v", m.Target, m.ID, access(m, 0o400), !m.Required))
			}
		case "ssh":
			if agents++; agents == 1 && !slices.ContainsFunc(visible, isAgent) {
				visible = append(visible, "SSH_AUTH_SOCK="+m.Target)
			}
			mounts = append(mounts, fmt.Sprintf("ssh %s selector= readonly=false id=%s %s optional=%v", m.Target, m.ID, access(m, 0o600), !m.Required))
		case "tmpfs":
			line := fmt.Sprintf("tmpfs %s selector= readonly=%v", m.Target, m.ReadOnly)
			if m.Size > 0 {
				line += fmt.Sprintf(" size=%d", m.Size)
			}
			mounts = append(mounts, line)
		default:
			selector := m.Source
			if selector != "" {
				selector = "/" + selector
			}
			if selector == "" && (m.Mode != nil || m.UID != nil || m.GID != nil) {
				selector = "/cache"
				lines = append(lines, fmt.Sprintf("mkdir /cache mode=%o owner=%d:%d", number(m.Mode, 0o755), number(m.UID, 0), number(m.GID, 0)))
			}
			line := fmt.Sprintf("%s %s selector=%s readonly=%v", m.Type, m.Target, selector, m.ReadOnly)
			if m.Type == "cache" {
				line += fmt.Sprintf(" id=/%s sharing=%s", m.ID, m.Sharing)
			}
			mounts = append(mounts, line)
		}
	}
	slices.Sort(mounts)
	network, security := op.Network, "sandbox"
	if network == "default" {
		network = "unset"
	}
	if op.Insecure {
		security = "insecure"
	}
	return append(lines, fmt.Sprintf("run %q env=%q dir=%s user=%s network=%s security=%s mounts=%q",
		op.Args, visible, op.Dir, op.User, network, security, mounts))
}

func isAgent(variable string) bool { return strings.HasPrefix(variable, "SSH_AUTH_SOCK=") }

func access(m plan.Mount, mode uint64) string {
	return fmt.Sprintf("uid=%d gid=%d mode=%o", number(m.UID, 0), number(m.GID, 0), number(m.Mode, mode))
}

func number(n *uint64, otherwise uint64) uint64 {
	if n == nil {
		return otherwise
	}
	return *n
}

func describeCopy(op *plan.Copy) []string {
	var lines []string
	for _, s := range op.Sources {
		line := fmt.Sprintf(" to %s owner=%s", op.Dest, ownerText(op.Chown))
		if mode, err := strconv.ParseUint(op.Chmod, 8, 32); err == nil {
			line += fmt.Sprintf(" mode=%o", mode)
		} else if op.Chmod != "" {
			line += " mode=" + op.Chmod
		}
		unpack := op.Add && s.Path != ""
		if op.Unpack != nil {
			unpack = *op.Unpack && s.Git == ""
		}
		if unpack && s.Inline == nil {
			line += " unpack"
		}
		src := path.Join("/", s.Path)
		switch {
		case s.Inline != nil:
			lines = append(lines, fmt.Sprintf("file /%s mode=644 %q", s.Inline.Name, s.Inline.Content))
			src = "/" + s.Inline.Name
		case s.URL != "":
			u, err := url.Parse(s.URL)
			if err != nil {
				panic(err)
			}
			src = "/__unnamed__"
			if base := path.Base(u.Path); base != "." && base != "/" {
				src = "/" + base
			}
		case op.Parents:
			root, pattern, pivot := strings.Cut(s.Path, "/./")
			if !pivot {
				root, pattern = "/", s.Path
			}
			src = path.Join("/", root)
			line += " include=" + path.Join("/", pattern)[1:]
		}
		for _, e := range op.Excludes {
			line += " exclude=" + e
		}
		lines = append(lines, "copy "+src+line)
	}
	return lines
}

// ownerText writes an owner as BuildKit's plan does, root as a number.
func ownerText(owner string) string {
	if owner == "" {
		return ""
	}
	user, group, _ := strings.Cut(owner, ":")
	root := func(s string) string {
		if s == "root" {
			return "0"
		}
		return s
	}
	return root(user) + ":" + root(group)
}
