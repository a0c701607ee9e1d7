package dockerfile_test

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

// TestWhatChangesAKey changes a Dockerfile or an argument and looks at the key of
// its last step that makes a layer.
func TestWhatChangesAKey(t *testing.T) {
	const plain = "FROM alpine\nARG V=1\nENV E=1\nWORKDIR /w\nRUN make\n"
	cases := []struct {
		name, before, after string
		args                map[string]string
		changes             bool
	}{
		{name: "nothing", before: plain, after: plain},
		{name: "a comment", before: plain, after: "# comment\n" + plain},
		{name: "a label before", before: plain, after: "FROM alpine\nLABEL a=b\nARG V=1\nENV E=1\nWORKDIR /w\nRUN make\n"},
		{name: "a command before", before: plain, after: "FROM alpine\nCMD x\nARG V=1\nENV E=1\nWORKDIR /w\nRUN make\n"},
		{name: "order of variables", before: plain, after: "FROM alpine\nENV E=1\nARG V=1\nWORKDIR /w\nRUN make\n"},
		{name: "a variable after", before: plain, after: plain + "ENV F=1\n"},
		{name: "a variable before", before: plain, after: "FROM alpine\nARG V=1\nENV E=1 F=1\nWORKDIR /w\nRUN make\n", changes: true},
		{name: "the value of a variable", before: plain, after: "FROM alpine\nARG V=1\nENV E=2\nWORKDIR /w\nRUN make\n", changes: true},
		{name: "a declared argument", before: plain, after: plain, args: map[string]string{"V": "2"}, changes: true},
		{name: "the default as argument", before: plain, after: plain, args: map[string]string{"V": "1"}},
		{name: "an undeclared argument", before: plain, after: plain, args: map[string]string{"U": "2"}},
		{name: "a proxy", before: plain, after: plain, args: map[string]string{"http_proxy": "http://proxy.example.com"}},
		{name: "the working directory", before: plain, after: "FROM alpine\nARG V=1\nENV E=1\nWORKDIR /x\nRUN make\n", changes: true},
		{name: "the user", before: plain, after: "FROM alpine\nARG V=1\nENV E=1\nWORKDIR /w\nUSER 1\nRUN make\n", changes: true},
		{name: "the shell", before: plain, after: "FROM alpine\nARG V=1\nENV E=1\nWORKDIR /w\nSHELL [\"/bin/bash\", \"-c\"]\nRUN make\n", changes: true},
		{name: "the base", before: plain, after: "FROM debian\nARG V=1\nENV E=1\nWORKDIR /w\nRUN make\n", changes: true},
		{name: "the same base by name", before: plain, after: "FROM alpine AS base\nFROM base\nARG V=1\nENV E=1\nWORKDIR /w\nRUN make\n"},
		{name: "an argument of a copy", before: "FROM alpine\nARG V=1\nCOPY a$V /b\n", after: "FROM alpine\nCOPY a1 /b\n"},
		{name: "a variable that a copy does not use", before: "FROM alpine\nCOPY a /b\n", after: "FROM alpine\nENV A=b\nCOPY a /b\n"},
		{name: "how a destination is written", before: "FROM alpine\nCOPY a /b/c\n", after: "FROM alpine\nWORKDIR /\nCOPY a b/./c\n"},
		{name: "the mode of a copy", before: "FROM alpine\nCOPY a /b\n", after: "FROM alpine\nCOPY --chmod=755 a /b\n", changes: true},
		{name: "an unneeded stage", before: plain, after: "FROM alpine AS other\nRUN other\n" + plain},
		{
			name:   "a stage copied from, its labels",
			before: "FROM alpine AS s\nRUN make\nFROM scratch\nCOPY --from=s /a /b\n",
			after:  "FROM alpine AS t\nRUN make\nLABEL a=b\nFROM scratch\nCOPY --from=t /a /b\n",
		},
		{
			name:    "a stage copied from, its command",
			before:  "FROM alpine AS s\nRUN make\nFROM scratch\nCOPY --from=s /a /b\n",
			after:   "FROM alpine AS s\nRUN make all\nFROM scratch\nCOPY --from=s /a /b\n",
			changes: true,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before, after := lastKey(t, c.before, nil), lastKey(t, c.after, c.args)
			if changed := before != after; changed != c.changes {
				t.Errorf("the key changes: %v, want %v", changed, c.changes)
			}
		})
	}
}

func lastKey(t *testing.T, text string, args map[string]string) (key digest.Digest) {
	t.Helper()
	p := resolve(t, text, dockerfile.Options{Images: bases{}, BuildArgs: args})
	if err := plan.Keys(t.Context(), p, pathInputs{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Target.Steps {
		if _, meta := step.Op.(plan.Meta); !meta {
			key = step.Key
		}
	}
	return key
}
