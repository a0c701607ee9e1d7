package conformance_test

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestCases reads all cases, so that a fault in one is found without building.
func TestCases(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.theme+"/"+c.name, func(t *testing.T) {
			if c.want == "" {
				t.Error("it has no @want")
			}
			for _, cmd := range c.find("fails") {
				if classes[cmd.arg(1)] == nil {
					t.Errorf("%q is no class of failures", cmd.arg(1))
				}
			}
			if got, want := strings.HasPrefix(lastRecord(c.want), "fails"), c.has("fails"); got != want {
				t.Errorf("@want says that it fails: %t; its preamble: %t", got, want)
			}
		})
	}
}

// lastRecord is a record without comments.
func lastRecord(text string) string { return strings.Join(recordLines(text), "\n") }

func TestSplitWords(t *testing.T) {
	for text, want := range map[string][]string{
		`file a "b c"`:        {"file", "a", "b c"},
		"a\t b":               {"a", "b"},
		`xattr:user.x="\x00"`: {"xattr:user.x=\x00"},
		`""`:                  {""},
	} {
		got, err := splitWords(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (- wanted, + got):\n%s", text, diff)
		}
	}
	if got, err := splitWords(`a "b`); err == nil {
		t.Errorf("an open quote is read as %q", got)
	}
}

// layerOf makes a layer of entries.
func layerOf(t *testing.T, entries string) imageLayer {
	t.Helper()
	commands, err := parsePreamble(entries)
	if err != nil {
		t.Fatal(err)
	}
	data, err := writeTar(commands)
	if err != nil {
		t.Fatal(err)
	}
	return imageLayer{tar: data}
}

func TestFlatten(t *testing.T) {
	for name, test := range map[string]struct {
		layers []string
		want   string
	}{
		"whiteout": {
			[]string{"dir d\nfile d/a\nfile d/b", "file d/.wh.a"}, ". d d/b",
		},
		"whiteout of a directory": {
			[]string{"dir d\nfile d/a\nfile e", "file .wh.d"}, ". e",
		},
		"opaque directory, marker last": {
			[]string{"dir d\nfile d/a\ndir d/s\nfile d/s/b", "dir d\nfile d/new\nfile d/.wh..wh..opq"}, ". d d/new",
		},
		"opaque directory over a link": {
			[]string{"dir d\nfile d/a\nsymlink l d", "dir l\nfile l/.wh..wh..opq\nfile l/new"}, ". d d/a l l/new",
		},
		"file over directory": {
			[]string{"dir d\nfile d/a", "file d"}, ". d",
		},
		"directory over directory": {
			[]string{"dir d\nfile d/a", "dir d 0700"}, ". d d/a",
		},
		"through a link": {
			[]string{"dir real\nsymlink way real", "file way/f"}, ". real real/f way",
		},
		"link out of the root": {
			[]string{"symlink way ../../up\ndir up", "file way/f"}, ". up up/f way",
		},
		"directories without entries": {
			[]string{"file a/b/c"}, ". a a/b a/b/c",
		},
	} {
		t.Run(name, func(t *testing.T) {
			img := &image{}
			for _, entries := range test.layers {
				img.layers = append(img.layers, layerOf(t, entries))
			}
			tr, err := img.flatten(len(img.layers))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tr.names(), " "); got != test.want {
				t.Errorf("the tree is %q, not %q", got, test.want)
			}
		})
	}
}

// TestChanges holds the text that cases are compared by against a change of
// each kind.
func TestChanges(t *testing.T) {
	img := &image{layers: []imageLayer{
		layerOf(t, "dir d\nfile d/gone\nfile same\nfile mode\nfile content\nfile one\nlink two one"),
		layerOf(t, "file .wh.d\nfile mode 0600\nfile content \"new\\n\"\nlink three one\nsymlink l \"a b\" time=2001-02-03T04:05:06Z\nchar c 1:3 xattr:user.x=y"),
	}}
	before, err := img.flatten(1)
	if err != nil {
		t.Fatal(err)
	}
	after, err := img.flatten(2)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{testCase: &testCase{}, names: strings.NewReplacer()}
	r.changes(before, after)
	want := `	gone d
	c 0644 0:0 entry c 1:3 user.x="y"
	f 0644 0:0 entry content "new\n"
	l 0777 0:0 context l -> a b
	f 0600 0:0 entry mode ""
	h three = one
`
	// three comes before two, and so is what two is linked to.
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(r.buf.String(), "\n")); diff != "" {
		t.Errorf("the changes differ (- wanted, + got):\n%s", diff)
	}
}

func TestCheckLayers(t *testing.T) {
	for name, test := range map[string]struct{ entries, fault string }{
		"good":             {"dir d\nfile d/.wh.c\nfile d/a\nlink d/b d/a", ""},
		"dot slash":        {"file ./a", "starts with"},
		"absolute":         {"file /a", "starts with"},
		"not clean":        {"file a//b", "not clean"},
		"twice":            {"file a\nfile a", "twice"},
		"unsorted":         {"file b\nfile a", "comes after"},
		"below a file":     {"file a\nfile a/b", "no directory"},
		"link to nothing":  {"link a b", "not before it"},
		"absolute link":    {"file a\nlink b /a", "not before it"},
		"deleted and made": {"file .wh.a\nfile a", "deleted by the same layer"},
		"whiteout of text": {"file .wh.a 0644 0:0 text", "an empty file"},
		"opaque and more":  {"dir d\nfile d/.wh..wh..opq\nfile d/.wh.a", "opaque"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkLayers(&image{layers: []imageLayer{layerOf(t, test.entries)}}, 0)
			switch {
			case test.fault == "" && err != nil:
				t.Errorf("it has the fault %v", err)
			case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
				t.Errorf("its fault is %v, not %q", err, test.fault)
			}
		})
	}
}

func TestCheckLayersOwnerNames(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Uname: "root"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkLayers(&image{layers: []imageLayer{{tar: buf.Bytes()}}}, 0); err == nil {
		t.Error("a name of an owner is no fault")
	}
}

func TestCheckMediaTypes(t *testing.T) {
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	good := &image{mediaTypes: []string{manifest, "application/vnd.oci.image.layer.v1.tar+gzip"}}
	if err := checkMediaTypes(good); err != nil {
		t.Error(err)
	}
	mixed := &image{mediaTypes: []string{manifest, "application/vnd.docker.image.rootfs.diff.tar.gzip"}}
	if err := checkMediaTypes(mixed); err == nil {
		t.Error("mixed media types are no fault")
	}
}

func TestModernise(t *testing.T) {
	c := &testCase{files: []txtar.File{{Name: "Dockerfile", Data: []byte("COPY --chmod=1 --chown=2 a b\n")}}, commands: []command{
		{words: []string{"newer", "ARG a", "ARG a=1"}},
		{words: []string{"stub", "m"}},
	}}
	got := modernise(c, strings.Join([]string{
		"\tempty EXPOSE map[80/tcp:{} 81/udp:{}]",
		`	empty "HEALTHCHECK &{[\"CMD-SHELL\" \"a b\"] \"5m0s\" \"3s\" \"0s\" '\\x03'}"`,
		"\tempty ARG a",
		"\tlayer COPY a b # buildkit",
		"layer 1",
		"\td 0755 0:0 - m",
		"\td 0755 0:0 - other/m",
	}, "\n"))
	want := strings.Join([]string{
		"\tempty EXPOSE [80/tcp 81/udp]",
		"\tempty HEALTHCHECK {Test:[CMD-SHELL a b] Interval:5m0s Timeout:3s StartPeriod:0s StartInterval:0s Retries:3}",
		"\tempty ARG a=1",
		"\tlayer COPY --chown=2 --chmod=1 a b # buildkit",
		"layer 1",
		"\td 0755 0:0 - other/m",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modernised it differs (- wanted, + got):\n%s", diff)
	}
}
