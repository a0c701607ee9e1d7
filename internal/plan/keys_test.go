package plan_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kiln-build/kiln/internal/layer"
	"github.com/kiln-build/kiln/internal/plan"
)

// files identifies files by what it is told, "" for a failure.
type files string

func (f files) CopyDigest(context.Context, *plan.Copy) (digest.Digest, error)   { return f.digest() }
func (f files) MountDigest(context.Context, *plan.Mount) (digest.Digest, error) { return f.digest() }

func (f files) digest() (digest.Digest, error) {
	if f == "" {
		return "", errors.New("no such file")
	}
	return digest.FromString(string(f)), nil
}

// image returns an image of layers with the given names.
func image(layers ...string) *plan.Image {
	i := &plan.Image{Name: "image"}
	for _, name := range layers {
		i.Layers = append(i.Layers, layer.Remote(ocispec.Descriptor{}, digest.FromString(name), nil, nil))
	}
	return i
}

// stage returns a stage on an image, with steps that do ops.
func stage(base *plan.Image, ops ...plan.Op) *plan.Stage {
	s := &plan.Stage{Base: plan.Base{Image: base}, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	for i, op := range ops {
		s.Steps = append(s.Steps, &plan.Step{Op: op, Text: fmt.Sprint("step ", i), At: plan.Location{File: "Dockerfile", Start: i + 2}})
	}
	return s
}

// keys returns the keys of all steps of a plan of stages, in order.
func keys(t *testing.T, in plan.Inputs, stages ...*plan.Stage) []digest.Digest {
	t.Helper()
	p := &plan.Plan{Stages: stages, Target: stages[len(stages)-1]}
	if err := plan.Keys(t.Context(), p, in); err != nil {
		t.Fatal(err)
	}
	var all []digest.Digest
	for _, s := range stages {
		for _, step := range s.Steps {
			if err := step.Key.Validate(); err != nil {
				t.Fatalf("key %q: %v", step.Key, err)
			}
			all = append(all, step.Key)
		}
	}
	return all
}

// keyOf returns the key of a single step.
func keyOf(t *testing.T, op plan.Op) digest.Digest {
	t.Helper()
	return keys(t, files("a"), stage(image("base"), op))[0]
}

// Fields that have no part in a key, and why.
var without = map[string]string{
	"Run.HiddenEnv":  "names variables that are left out",
	"Mount.Sharing":  "says who waits for whom",
	"Mount.Required": "says what happens if there is none",
}

// Every field of an operation has a part in its key, unless it is listed above:
// who adds a field has to decide.
func TestEveryFieldCounts(t *testing.T) {
	ops := map[string]func() plan.Op{
		"Run":     func() plan.Op { return &plan.Run{Args: []string{"a"}} },
		"Copy":    func() plan.Op { return &plan.Copy{Sources: []plan.Source{{Path: "a"}}} },
		"Workdir": func() plan.Op { return &plan.Workdir{Path: "/a"} },
	}
	for name, op := range ops {
		eachChange(t, name, func() any { return op() }, func(of any) digest.Digest { return keyOf(t, of.(plan.Op)) })
	}
	inRun := func(m plan.Mount) digest.Digest { return keyOf(t, &plan.Run{Mounts: []plan.Mount{m}}) }
	eachChange(t, "Mount", func() any { return &plan.Mount{Type: "cache"} }, func(of any) digest.Digest { return inRun(*of.(*plan.Mount)) })
	inCopy := func(s plan.Source) digest.Digest { return keyOf(t, &plan.Copy{Sources: []plan.Source{s}}) }
	eachChange(t, "Source", func() any { return &plan.Source{} }, func(of any) digest.Digest { return inCopy(*of.(*plan.Source)) })
	eachChange(t, "InlineFile", func() any { return &plan.InlineFile{} },
		func(of any) digest.Digest { return inCopy(plan.Source{Inline: of.(*plan.InlineFile)}) })
	eachChange(t, "Device", func() any { return &plan.Device{} },
		func(of any) digest.Digest { return keyOf(t, &plan.Run{Devices: []plan.Device{*of.(*plan.Device)}}) })
}

// eachChange changes the fields of what made makes, one at a time.
func eachChange(t *testing.T, name string, made func() any, key func(any) digest.Digest) {
	before := key(made())
	typ := reflect.TypeOf(made()).Elem()
	for i := range typ.NumField() {
		field := typ.Field(i)
		if field.Type == reflect.TypeFor[plan.Origin]() {
			continue // see TestOrigins
		}
		t.Run(name+"."+field.Name, func(t *testing.T) {
			changed := made()
			change(t, reflect.ValueOf(changed).Elem().Field(i))
			differs := key(changed) != before
			if reason, out := without[name+"."+field.Name]; differs == out {
				t.Errorf("the key changes: %v; %s", differs, reason)
			}
		})
	}
}

// change gives v another value.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	default:
		t.Fatalf("cannot change a %s", v.Type())
	}
}

func TestOrigins(t *testing.T) {
	from := func(o plan.Origin, in string) (copied, mounted digest.Digest) {
		stages := []*plan.Stage{stage(image("base"),
			&plan.Copy{From: o, Sources: []plan.Source{{Path: "a"}}},
			&plan.Run{Mounts: []plan.Mount{{Type: "bind", From: o}}},
		)}
		if o.Stage != nil {
			stages = slices.Insert(stages, 0, o.Stage)
		}
		all := keys(t, files(in), stages...)
		return all[len(all)-2], all[len(all)-1]
	}
	seen := make(map[digest.Digest]string)
	for name, o := range map[string]plan.Origin{
		"context":         {},
		"one stage":       {Stage: stage(image("base"), &plan.Run{Args: []string{"1"}})},
		"other stage":     {Stage: stage(image("base"), &plan.Run{Args: []string{"2"}})},
		"image":           {Image: image("a")},
		"other image":     {Image: image("b")},
		"image of layers": {Image: image("a", "b")},
	} {
		copied, mounted := from(o, "files")
		for _, key := range []digest.Digest{copied, mounted} {
			if other := seen[key]; other != "" {
				t.Errorf("%s and %s have the same key", name, other)
			}
			seen[key] = name
		}
		if c, m := from(o, "other files"); (c != copied) != (name == "context") || (m != mounted) != (name == "context") {
			t.Errorf("%s: the files of the context count: %v, %v", name, c != copied, m != mounted)
		}
	}
}

// What is below counts, but for --link: there only for what comes after.
func TestLayersBelow(t *testing.T) {
	ops := func(link bool) []plan.Op {
		return []plan.Op{&plan.Copy{Link: link, Sources: []plan.Source{{Path: "a"}}}, &plan.Run{Args: []string{"a"}}}
	}
	for _, link := range []bool{false, true} {
		one := keys(t, files("a"), stage(image("a"), ops(link)...))
		other := keys(t, files("a"), stage(image("b"), ops(link)...))
		if same := one[0] == other[0]; same != link {
			t.Errorf("link %v: the copy has the same key on another base: %v", link, same)
		}
		if one[1] == other[1] {
			t.Errorf("link %v: a RUN has the same key on another base", link)
		}
	}
}

func TestConfigDoesNotCount(t *testing.T) {
	run := &plan.Run{Args: []string{"a"}}
	plain := keys(t, files("a"), stage(image("a"), run))
	labelled := keys(t, files("a"), stage(image("a"), plan.Meta{}, run, plan.Meta{}))
	if plain[0] != labelled[1] {
		t.Error("an instruction without a layer changes the key of the next")
	}
	if labelled[2] != labelled[1] {
		t.Error("an instruction without a layer changes the key of the state")
	}
}

func TestEnvironment(t *testing.T) {
	key := func(env, hidden string) digest.Digest {
		return keyOf(t, &plan.Run{Env: strings.Fields(env), HiddenEnv: strings.Fields(hidden)})
	}
	plain := key("A=1 B=2", "")
	if key("B=2 A=1", "") != plain {
		t.Error("the order of variables counts")
	}
	if key("A=1 P=x B=2", "P") != plain {
		t.Error("a hidden variable counts")
	}
	if key("A=1 P=x B=2", "") == plain {
		t.Error("a variable that is not hidden does not count")
	}
}

func TestPlatformOfARun(t *testing.T) {
	arm := stage(image("a"), &plan.Run{})
	arm.Platform.Architecture = "arm64"
	if keys(t, files("a"), arm)[0] == keys(t, files("a"), stage(image("a"), &plan.Run{}))[0] {
		t.Error("two platforms have one key")
	}
}

func TestABuildOnAStageContinuesIt(t *testing.T) {
	first, second := &plan.Run{Args: []string{"1"}}, &plan.Run{Args: []string{"2"}}
	whole := keys(t, files("a"), stage(image("a"), first, second))
	base := stage(image("a"), first)
	top := stage(nil, second)
	top.Base = plan.Base{Stage: base}
	split := keys(t, files("a"), base, top)
	if !slices.Equal(whole, split) {
		t.Errorf("keys are %v and %v", whole, split)
	}
	if top.Key != base.Steps[0].Key {
		t.Error("a stage does not start where its base ends")
	}
}

// Two lists of fields are never hashed alike, whatever is in them.
func TestFieldsAreFramed(t *testing.T) {
	seen := make(map[digest.Digest]*plan.Run)
	for _, op := range []*plan.Run{
		{Args: []string{"a", "b"}},
		{Args: []string{"ab"}},
		{Args: []string{"a"}, Env: []string{"b"}},
		{Env: []string{"a", "b"}},
		{Args: []string{"a\x00b"}},
		{Dir: "a", User: "b"},
		{Dir: "ab"},
		{User: "ab"},
		{Args: []string{""}},
		{Args: []string{"", ""}},
		{},
	} {
		key := keyOf(t, op)
		if other := seen[key]; other != nil {
			t.Errorf("%+v and %+v have the same key", op, other)
		}
		seen[key] = op
	}
}

func TestFilesAreReadOnlyWhereTheyCount(t *testing.T) {
	const none = files("")
	for name, op := range map[string]plan.Op{
		"copy from a stage":      &plan.Copy{From: plan.Origin{Image: image("a")}, Sources: []plan.Source{{Path: "a"}}},
		"here-document":          &plan.Copy{Sources: []plan.Source{{Inline: &plan.InlineFile{Name: "a"}}}},
		"cache":                  &plan.Run{Mounts: []plan.Mount{{Type: "cache"}}},
		"cache with first files": &plan.Run{Mounts: []plan.Mount{{Type: "cache", From: plan.Origin{Context: "a"}}}},
		"tmpfs":                  &plan.Run{Mounts: []plan.Mount{{Type: "tmpfs"}}},
		"secret":                 &plan.Run{Mounts: []plan.Mount{{Type: "secret", ID: "a"}}},
		"bind from an image":     &plan.Run{Mounts: []plan.Mount{{Type: "bind", From: plan.Origin{Image: image("a")}}}},
	} {
		t.Run(name, func(t *testing.T) { keys(t, none, stage(image("a"), op)) })
	}
	for name, op := range map[string]plan.Op{
		"copy": &plan.Copy{Sources: []plan.Source{{Path: "a"}}},
		"url":  &plan.Copy{From: plan.Origin{Image: image("a")}, Sources: []plan.Source{{URL: "a"}}},
		"git":  &plan.Copy{From: plan.Origin{Image: image("a")}, Sources: []plan.Source{{Git: "a"}}},
		"bind": &plan.Run{Mounts: []plan.Mount{{Type: "bind"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(image("a"), plan.Meta{}, op)
			err := plan.Keys(t.Context(), &plan.Plan{Stages: []*plan.Stage{s}, Target: s}, none)
			if err == nil || err.Error() != "Dockerfile:3: step 1: no such file" {
				t.Errorf("error is %v, want the place and the cause", err)
			}
		})
	}
}
