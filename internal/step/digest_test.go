package step_test

import (
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/plan"
)

func digestOf(t *testing.T, src *memory, op plan.Copy) digest.Digest {
	t.Helper()
	d, err := copier(t).Digest(t.Context(), &op, src)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigestChangesWithWhatIsCopied(t *testing.T) {
	base := []string{"d/a", "d/b/c", "d/l -> a", "f", "other"}
	all := plan.Copy{Sources: paths("d", "f"), Dest: "/"}
	want := digestOf(t, view(base...), all)
	seen := map[digest.Digest]string{want: "the base"}
	for name, line := range map[string]string{
		"content": "d/a=y", "mode": "d/a 600 0:0", "owner": "d/a 644 1:0", "group": "d/a 644 0:1", "link": "d/l -> b",
		"type": "d/l", "directory mode": "d/b/ 700 0:0", "new file": "d/z", "new directory": "d/y/", "file": "f=g",
	} {
		got := digestOf(t, view(append(base[:len(base):len(base)], line)...), all)
		if earlier, ok := seen[got]; ok {
			t.Errorf("%s: the digest is that of %s", name, earlier)
		}
		seen[got] = name
	}
	for name, op := range map[string]plan.Copy{
		"order": {Sources: paths("f", "d")}, "fewer": {Sources: paths("d")}, "exclude": {Sources: paths("d", "f"), Excludes: []string{"a"}},
	} {
		got := digestOf(t, view(base...), op)
		if earlier, ok := seen[got]; ok {
			t.Errorf("%s: the digest is that of %s", name, earlier)
		}
		seen[got] = name
	}
}

func TestDigestStaysTheSame(t *testing.T) {
	base := []string{"d/a", "d/b/c", "f", "other"}
	op := plan.Copy{Sources: paths("d"), Dest: "/"}
	want := digestOf(t, view(base...), op)
	later := view(base...)
	for path, e := range later.entries {
		e.ModTime = e.ModTime.Add(time.Hour)
		later.entries[path] = e
	}
	for name, src := range map[string]*memory{
		"again":                        view(base...),
		"times":                        later,
		"what is not copied":           view("d/a", "d/b/c", "f=changed", "other 600 0:0", "new"),
		"facts of the directory named": view("d/ 700 5:5", "d/a", "d/b/c"),
	} {
		if got := digestOf(t, src, op); got != want {
			t.Errorf("%s: the digest changes", name)
		}
	}
	if digestOf(t, view(base...), plan.Copy{Sources: paths("*d*"), Dest: "/"}) != want {
		t.Error("the same selected by a pattern has another digest")
	}
}

func TestDigestOfInlineFiles(t *testing.T) {
	inline := func(name, content string) plan.Copy {
		return plan.Copy{Sources: []plan.Source{{Inline: &plan.InlineFile{Name: name, Content: []byte(content)}}}}
	}
	a := digestOf(t, nil, inline("ab", "c"))
	if a == digestOf(t, nil, inline("a", "bc")) {
		t.Error("name and content run into each other")
	}
}
