// Record writes down what BuildKit makes of Dockerfiles: of each NAME.dockerfile
// in the archives it is given, NAME.want with the config, what is new in the
// history, the processes, copies and directories of the low-level plan, and the
// warnings; or the line of an error. Nothing is built.
//
//	go run . ../buildkit/*.txtar
//
// It is a module of its own because kiln does not depend on BuildKit's solver.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/tools/txtar"
)

// bases names the archive that holds what others start from.
const bases = "bases.txtar"

func main() {
	names := os.Args[1:]
	sort.SliceStable(names, func(i, j int) bool { return filepath.Base(names[i]) == bases && filepath.Base(names[j]) != bases })
	known := make(images)
	for _, name := range names {
		if err := recordAll(name, known); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// recordAll brings one archive up to date.
func recordAll(name string, known images) error {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		return err
	}
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		short, isDockerfile := strings.CutSuffix(f.Name, ".dockerfile")
		if !isDockerfile {
			continue
		}
		r, err := convert(known, f.Data)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
		out.Files = append(out.Files, f, txtar.File{Name: short + ".want", Data: []byte(r.String())})
		if filepath.Base(name) == bases {
			known[short] = r.image
		}
	}
	return os.WriteFile(name, txtar.Format(out), 0o644)
}

// record is what BuildKit makes of one Dockerfile.
type record struct {
	image                    *dockerspec.DockerOCIImage
	history, steps, warnings []string
	failure                  string
}

// String writes a record, one fact a line.
func (r *record) String() string {
	var b strings.Builder
	for _, line := range r.warnings {
		fmt.Fprintln(&b, "warning", line)
	}
	if r.failure != "" {
		fmt.Fprintln(&b, r.failure)
		return b.String()
	}
	for _, line := range r.steps {
		fmt.Fprintln(&b, line)
	}
	for _, line := range r.history {
		fmt.Fprintln(&b, line)
	}
	for _, line := range configLines(r.image) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// configLines writes the fields of a config that say something.
func configLines(image *dockerspec.DockerOCIImage) []string {
	var fields, config map[string]json.RawMessage
	remarshal(image, &fields)
	remarshal(fields["config"], &config)
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
	sort.Strings(lines)
	return lines
}

func remarshal(from, to any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := errors.Join(encoder.Encode(from), json.Unmarshal(text.Bytes(), to)); err != nil {
		panic(err)
	}
}

// convert has BuildKit read a Dockerfile.
func convert(known images, text []byte) (*record, error) {
	ctx := context.Background()
	r := new(record)
	var mu sync.Mutex // images are looked up side by side
	caps := pb.Caps.CapSet(pb.Caps.All())
	amd64 := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	opt := dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      map[string]string{},
			BuildPlatforms: []ocispecs.Platform{amd64},
		},
		MetaResolver: known,
		LLBCaps:      &caps,
		Warn: func(rule, _, _, message string, at []parser.Range) {
			if len(at) == 0 {
				return // of the image of a mount
			}
			mu.Lock()
			defer mu.Unlock()
			r.warnings = append(r.warnings, fmt.Sprintf("%d %s: %s", at[0].Start.Line, rule, message))
		},
	}
	if err := flags(text, &opt); err != nil {
		return nil, err
	}
	result, err := dockerfile2llb.Dockerfile2LLB(ctx, text, opt)
	sort.Strings(r.warnings)
	r.warnings = slices.Compact(r.warnings)
	if err != nil {
		r.failure = failure(err)
		return r, nil
	}
	r.image = result.Image
	old := 0
	if result.BaseImage != nil {
		old = len(result.BaseImage.History)
	}
	for _, h := range result.Image.History[old:] {
		word := "history"
		if h.EmptyLayer {
			word += "-"
		}
		r.history = append(r.history, word+" "+strings.ReplaceAll(h.CreatedBy, "\n", `\n`))
	}
	def, err := result.State.Marshal(ctx, llb.Platform(amd64))
	if err != nil {
		return nil, err
	}
	for _, raw := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return nil, err
		}
		r.add(&op)
	}
	sort.Strings(r.steps)
	r.steps = slices.Compact(r.steps)
	return r, nil
}

// failure says in which line BuildKit finds what it refuses, if it says so.
func failure(err error) string {
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		return fmt.Sprintf("error %d %s", at.Locations[0][0].Start.Line, err)
	}
	return fmt.Sprintf("error 0 %s", err)
}

func (r *record) add(op *pb.Op) {
	switch op := op.Op.(type) {
	case *pb.Op_Exec:
		r.steps = append(r.steps, process(op.Exec))
	case *pb.Op_File:
		for _, a := range op.File.Actions {
			switch a := a.Action.(type) {
			case *pb.FileAction_Copy:
				r.steps = append(r.steps, copyOf(a.Copy))
			case *pb.FileAction_Mkdir:
				r.steps = append(r.steps, fmt.Sprintf("mkdir %s mode=%o owner=%s", a.Mkdir.Path, a.Mkdir.Mode, owner(a.Mkdir.Owner)))
			case *pb.FileAction_Mkfile:
				r.steps = append(r.steps, fmt.Sprintf("file %s mode=%o %q", a.Mkfile.Path, a.Mkfile.Mode, a.Mkfile.Data))
			}
		}
	}
}

func process(e *pb.ExecOp) string {
	var mounts []string
	for _, m := range e.Mounts {
		if m.Dest != "/" {
			mounts = append(mounts, mount(m))
		}
	}
	for _, s := range e.Secretenv {
		mounts = append(mounts, fmt.Sprintf("env %s id=%s optional=%v", s.Name, s.ID, s.Optional))
	}
	sort.Strings(mounts)
	return fmt.Sprintf("run %q env=%q dir=%s user=%s network=%s security=%s mounts=%q", e.Meta.Args, e.Meta.Env, path.Clean(e.Meta.Cwd), e.Meta.User,
		strings.ToLower(e.Network.String()), strings.ToLower(e.Security.String()), mounts)
}

func mount(m *pb.Mount) string {
	text := fmt.Sprintf("%s %s selector=%s readonly=%v", strings.ToLower(m.MountType.String()), path.Clean(m.Dest), m.Selector, m.Readonly)
	if c := m.CacheOpt; c != nil {
		text += fmt.Sprintf(" id=%s sharing=%s", c.ID, strings.ToLower(c.Sharing.String()))
	}
	if s := m.SecretOpt; s != nil {
		text += fmt.Sprintf(" id=%s uid=%d gid=%d mode=%o optional=%v", s.ID, s.Uid, s.Gid, s.Mode, s.Optional)
	}
	if s := m.SSHOpt; s != nil {
		if s.ID == "" {
			s.ID = "default"
		}
		text += fmt.Sprintf(" id=%s uid=%d gid=%d mode=%o optional=%v", s.ID, s.Uid, s.Gid, s.Mode, s.Optional)
	}
	if t := m.TmpfsOpt; t != nil && t.Size != 0 {
		text += fmt.Sprintf(" size=%d", t.Size)
	}
	return text
}

func copyOf(c *pb.FileActionCopy) string {
	text := fmt.Sprintf("copy %s to %s owner=%s", c.Src, c.Dest, owner(c.Owner))
	switch {
	case c.ModeStr != "":
		text += " mode=" + c.ModeStr
	case c.Mode >= 0:
		text += fmt.Sprintf(" mode=%o", c.Mode)
	}
	if c.AttemptUnpackDockerCompatibility {
		text += " unpack"
	}
	for _, p := range c.IncludePatterns {
		text += " include=" + p
	}
	for _, p := range c.ExcludePatterns {
		text += " exclude=" + p
	}
	return text
}

func owner(o *pb.ChownOpt) string {
	if o == nil {
		return ""
	}
	return id(o.User) + ":" + id(o.Group)
}

func id(u *pb.UserOpt) string {
	switch u := u.GetUser().(type) {
	case *pb.UserOpt_ByID:
		return fmt.Sprint(u.ByID)
	case *pb.UserOpt_ByName:
		return u.ByName.Name
	}
	return ""
}

// flags reads the last line of a Dockerfile: "#args: --build-arg A=b ...".
func flags(text []byte, opt *dockerfile2llb.ConvertOpt) error {
	_, line, found := strings.Cut(string(text), "\n#args: ")
	if !found {
		return nil
	}
	words := strings.Fields(line)
	for i := 0; i+1 < len(words); i += 2 {
		switch words[i] {
		case "--build-arg":
			key, value, _ := strings.Cut(words[i+1], "=")
			opt.BuildArgs[key] = value
		case "--target":
			opt.Target = words[i+1]
		case "--platform":
			p, err := platforms.Parse(words[i+1])
			if err != nil {
				return err
			}
			opt.TargetPlatform = &p
		default:
			return fmt.Errorf("unknown flag %s", words[i])
		}
	}
	return nil
}

// images are the base images, by name. One that has no name of its own here is as
// "base"; one that is called missing is not there.
type images map[string]*dockerspec.DockerOCIImage

func (known images) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(ref, "docker.io/library/"), ":latest")
	image, ok := known[name]
	switch {
	case strings.Contains(name, "missing"):
		return "", "", nil, fmt.Errorf("%s: not found", ref)
	case !ok:
		image = known["base"]
	}
	config := *image
	config.RootFS = ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(name)}}
	content, err := json.Marshal(config)
	return ref, digest.FromBytes(content), content, err
}
