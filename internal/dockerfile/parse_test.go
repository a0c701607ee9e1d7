package dockerfile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/dockerfile"
	"github.com/kiln-build/kiln/internal/plan"
)

func TestTextOfTheFile(t *testing.T) {
	cases := map[string]string{
		"plain":              "FROM scratch\nENV A=\"b c\" \\\n  D=e\n",
		"byte order mark":    "\ufeffFROM scratch\nENV A=\"b c\" \\\n  D=e\n",
		"carriage returns":   "FROM scratch\r\nENV A=\"b c\" \\\r\n  D=e\r\n",
		"no end of line":     "FROM scratch\nENV A=\"b c\" \\\n  D=e",
		"comment inside":     "FROM scratch\nENV A=\"b c\" \\\n# comment\n  D=e\n",
		"indented comment":   "FROM scratch\nENV A=\"b c\" \\\n   # comment\n  D=e\n",
		"empty line inside":  "FROM scratch\nENV A=\"b c\" \\\n\n  D=e\n",
		"other escape":       "# escape=`\nFROM scratch\nENV A=\"b c\" `\n  D=e\n",
		"escape after mark":  "\ufeff# escape=`\nFROM scratch\nENV A=\"b c\" `\n  D=e\n",
		"directives":         "# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM scratch\nENV A=\"b c\" `\n  D=e\n",
		"space after escape": "FROM scratch\nENV A=\"b c\" \\  \n  D=e\n",
		"lower case":         "from scratch\nenv A=\"b c\" \\\n  D=e\n",
		"indented":           "  FROM scratch\n\tENV A=\"b c\" \\\n  D=e\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			p := resolve(t, text, dockerfile.Options{})
			if env := p.Target.Config().Config.Env[1:]; !slices.Equal(env, []string{"A=b c", "D=e"}) {
				t.Errorf("environment is %q", env)
			}
		})
	}
}

func TestDirectives(t *testing.T) {
	f, err := dockerfile.Parse("Dockerfile", []byte("# syntax = docker/dockerfile:1.7 # no comment\n#escape=`\n\nFROM scratch\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Syntax != "docker/dockerfile:1.7" {
		t.Errorf("syntax is %q", f.Syntax)
	}
	f, err = dockerfile.Parse("Dockerfile", []byte("# comment\n# syntax=docker/dockerfile:1\nFROM scratch\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Syntax != "" {
		t.Errorf("syntax is %q, want none: it stands after a comment", f.Syntax)
	}
}

func TestPlaces(t *testing.T) {
	const text = "# comment\n\nFROM scratch\n\nRUN a \\\n  b\nCOPY <<EOF /x\n1\n2\nEOF\nENV A=b\n"
	p := resolve(t, text, dockerfile.Options{})
	want := []plan.Location{{File: "Dockerfile", Start: 5, End: 6}, {File: "Dockerfile", Start: 7, End: 10}, {File: "Dockerfile", Start: 11, End: 11}}
	for i, step := range p.Target.Steps {
		if step.At != want[i] {
			t.Errorf("step %d is at %+v, want %+v", i, step.At, want[i])
		}
	}
	if p.Target.At.Start != 3 {
		t.Errorf("FROM is at %+v, want line 3", p.Target.At)
	}
}

func TestErrorsShowTheLines(t *testing.T) {
	const text = "FROM scratch\nCOPY a \\\n  --chwon=1 \\\n  b\nCOPY --form=x a b\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = dockerfile.Resolve(t.Context(), f, dockerfile.Options{})
	e, ok := err.(*dockerfile.Error)
	if !ok {
		t.Fatalf("error is %v", err)
	}
	if !slices.Equal(e.Lines, []string{"COPY --form=x a b"}) || e.Line != 5 || e.Column != 6 {
		t.Errorf("error shows %q and points at %d:%d, want 5:6", e.Lines, e.Line, e.Column)
	}
}

func TestWarningsPointAndHint(t *testing.T) {
	const text = "ARG VERSION=1\nFROM scratch AS Final\nCOPY a \\\n  $VERSION\nCMD ['a', 'b']\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, warnings, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		rule         string
		line, column int
	}
	var got []place
	for _, w := range warnings {
		got = append(got, place{w.Rule, w.Line, w.Column})
		if w.Rule == "UndefinedVar" && !strings.Contains(w.Hint, "declares it again: ARG VERSION") {
			t.Errorf("hint is %q", w.Hint)
		}
	}
	want := []place{{"StageNameCasing", 2, 17}, {"UndefinedVar", 4, 3}, {"JSONArgsRecommended", 0, 0}, {"SingleQuotesInJSON", 0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("warnings are %v, want %v", got, want)
	}
}

func TestChecksCanBeSkippedAndFatal(t *testing.T) {
	const bad = "FROM scratch as x\nENV A b\n"
	for text, want := range map[string]int{
		bad:                                 2,
		"# check=skip=FromAsCasing\n" + bad: 1,
		"# check=skip=all\n" + bad:          0,
		"# check=skip=FromAsCasing,LegacyKeyValueFormat\n" + bad:          0,
		"# check=skip=all;error=true\n" + bad:                             0,
		"FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV A b\n":      0,
		"# check=skip=none;experimental=all\n" + bad:                      2,
		"#check = skip=FromAsCasing\n# a comment\n" + bad:                 1,
		"# syntax=docker/dockerfile:1\n# check=skip=FromAsCasing\n" + bad: 1,
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, warnings, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{})
		if err != nil || len(warnings) != want {
			t.Errorf("%q: %d warnings, want %d: %v, %v", text, len(warnings), want, warnings, err)
		}
	}
}

func TestLintLooksAtAllStages(t *testing.T) {
	const text = "FROM alpine AS unneeded\nENV A b\nFROM scratch\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opts := dockerfile.Options{Images: catalog{"alpine": {}}}
	warnings, err := dockerfile.Lint(t.Context(), f, opts)
	if err != nil || len(warnings) != 1 {
		t.Errorf("all stages: %v, %v; want one warning", warnings, err)
	}
	opts.Target = "1"
	if warnings, err = dockerfile.Lint(t.Context(), f, opts); err != nil || len(warnings) != 0 {
		t.Errorf("one stage: %v, %v; want no warning", warnings, err)
	}
}

func TestIgnoredSources(t *testing.T) {
	const text = "FROM scratch\nCOPY secret.txt kept.txt /\nADD dir/secret.txt /\nCOPY . /\n"
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ignore []string
		want   []string
	}{
		{nil, nil},
		{[]string{"secret.txt", "dir"}, []string{
			`Attempting to Copy file "secret.txt" that is excluded by .dockerignore`,
			`Attempting to Add file "dir/secret.txt" that is excluded by .dockerignore`,
		}},
		{[]string{"secret.txt", "!kept.txt"}, nil},
		{[]string{"**"}, []string{
			`Attempting to Copy file "kept.txt" that is excluded by .dockerignore`,
			`Attempting to Copy file "secret.txt" that is excluded by .dockerignore`,
			`Attempting to Add file "dir/secret.txt" that is excluded by .dockerignore`,
			`Attempting to Copy file "." that is excluded by .dockerignore`,
		}},
	} {
		_, warnings, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{Ignore: c.ignore})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.Message)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("ignoring %q: %q, want %q", c.ignore, got, c.want)
		}
	}
}
