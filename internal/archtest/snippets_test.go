package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRulesSeeWhatTheyForbid shows each rule a bad source tree, and a good one
// that looks like it.
func TestRulesSeeWhatTheyForbid(t *testing.T) {
	tests := []struct {
		name, rule string
		// files maps paths to content; a file without a package clause gets one.
		files map[string]string
		// want are the places of violations, none for a good tree.
		want []string
	}{
		{"import of a package above", "ImportsPointDown", map[string]string{
			"internal/layer/a.go": imports("internal/tree"),
			"internal/tree/a.go":  imports("internal/layer"),
		}, []string{"internal/layer/a.go:2"}},
		{"import of a stranger below", "ImportsPointDown", map[string]string{
			"internal/cache/a.go": imports("internal/rootfs/overlay"),
		}, []string{"internal/cache/a.go:2"}},
		{"package without a place", "ImportsPointDown", map[string]string{
			"internal/novelty/a.go": "",
		}, []string{"internal/novelty/a.go:1"}},
		{"a test may import anything", "ImportsPointDown", map[string]string{
			"internal/layer/a_test.go": imports("internal/cli"),
		}, nil},

		{"library outside its room", "LibrariesStayInTheirRooms", map[string]string{
			"internal/solve/a.go": "import \"github.com/spf13/cobra\"\n",
			"internal/cli/a.go":   "import \"github.com/spf13/cobra\"\n",
		}, []string{"internal/solve/a.go:2"}},

		{"testenv in code", "TestsStayInTests", map[string]string{
			"internal/build/a.go":      imports("internal/testenv"),
			"internal/build/a_test.go": imports("internal/testenv"),
		}, []string{"internal/build/a.go:2"}},
		{"testing in code", "TestsStayInTests", map[string]string{
			"internal/build/a.go":   "import \"testing\"\n",
			"internal/testenv/a.go": "import \"testing\"\n",
		}, []string{"internal/build/a.go:2"}},

		{"cgo", "NoCgo", map[string]string{
			"internal/layer/a.go": "import \"C\"\n",
		}, []string{"internal/layer/a.go:2"}},

		{"no package comment", "PackagesAreDocumented", map[string]string{
			"internal/layer/a.go": "",
			"internal/tree/doc.go": "// Package tree is one.\n" +
				"package tree\n",
		}, []string{"internal/layer/a.go:1"}},
		{"package comment about something else", "PackagesAreDocumented", map[string]string{
			"internal/layer/doc.go": "// Layers.\npackage layer\n",
		}, []string{"internal/layer/doc.go:2"}},
		{"package comment in another file", "PackagesAreDocumented", map[string]string{
			"internal/layer/doc.go": "// Package layer is one.\npackage layer\n",
			"internal/layer/tar.go": "// Package layer is one.\npackage layer\n",
		}, []string{"internal/layer/tar.go:2"}},
		{"a program", "PackagesAreDocumented", map[string]string{
			"cmd/kiln/main.go": "// Command kiln builds.\npackage main\n",
		}, nil},

		{"a package called util", "PackagesHaveNames", map[string]string{
			"internal/util/a.go":       "",
			"internal/layer/util/a.go": "",
			"internal/layer/util.go":   "",
		}, []string{"internal/layer/util/a.go:1", "internal/util/a.go:1"}},

		{"init function", "NoInit", map[string]string{
			"internal/layer/a.go": "func init() {}\ntype t int\nfunc (t) init() {}\n",
		}, []string{"internal/layer/a.go:2"}},

		{"variables made to change", "NoMutableGlobals", map[string]string{
			"internal/layer/a.go": "import (\n\"sync\"\n\"os\"\n)\n" +
				"var count int\n" + // line 6
				"var mu = sync.Mutex{}\n" +
				"var home = os.Getenv(\"HOME\")\n" +
				"var shared = &struct{ n int }{}\n" +
				"var table = map[string]int{\"a\": 1}\n", // as it should be
		}, []string{"internal/layer/a.go:6", "internal/layer/a.go:7", "internal/layer/a.go:8", "internal/layer/a.go:9"}},
		{"tables that are written to", "NoMutableGlobals", map[string]string{
			"internal/layer/a.go": "var table = map[string]int{}\nvar list = []struct{ n int }{{1}}\nvar depth = 1\n",
			"internal/layer/b.go": "func f() {\n" +
				"table[\"a\"] = 1\n" + // line 3
				"delete(table, \"a\")\n" +
				"list[0].n = 2\n" +
				"list = append(list, list...)\n" +
				"depth++\n" +
				"_ = &depth\n" +
				"}\n",
			"internal/layer/a_test.go": "func g() { depth = 2 }\n",
		}, []string{
			"internal/layer/a_test.go:2", "internal/layer/b.go:3", "internal/layer/b.go:4", "internal/layer/b.go:5",
			"internal/layer/b.go:6", "internal/layer/b.go:7", "internal/layer/b.go:8",
		}},
		{"a variable of another package", "NoMutableGlobals", map[string]string{
			"internal/layer/a.go": "import \"net/http\"\nfunc f() { http.DefaultClient = nil }\nfunc g() any { return &http.DefaultClient }\n",
		}, []string{"internal/layer/a.go:3"}},
		{"variables that do not change", "NoMutableGlobals", map[string]string{
			"internal/layer/a.go": "import (\n\"errors\"\n\"regexp\"\n\"embed\"\n)\n" +
				"var ErrGone = errors.New(\"gone\")\n" +
				"var word = regexp.MustCompile(`\\w`)\n" +
				"//go:embed a.go\nvar files embed.FS\n" +
				"var _ error = (*t)(nil)\n" +
				"var table = []string{\"a\"}\n" +
				"func f() string { table := []string{}; table = append(table, \"b\"); return table[0] }\n",
		}, nil},

		{"exits", "OnlyMainExits", map[string]string{
			"internal/layer/a.go": "import (\n\"log\"\n\"os\"\n)\nfunc f() {\nlog.Fatalf(\"a\")\nos.Exit(1)\n}\n",
			"cmd/kiln/main.go":    "import \"os\"\nfunc main() { os.Exit(1) }\n",
		}, []string{"internal/layer/a.go:7", "internal/layer/a.go:8"}},
		{"an exit by another name", "OnlyMainExits", map[string]string{
			"internal/layer/a.go": "import system \"os\"\nfunc f() { system.Exit(1) }\n",
		}, []string{"internal/layer/a.go:3"}},

		{"prints", "OnlyPrintersPrint", map[string]string{
			"internal/layer/a.go": "import (\n\"fmt\"\n\"os\"\n)\nfunc f() {\nfmt.Println()\nfmt.Fprintln(os.Stderr)\n_ = fmt.Sprint()\n}\n",
		}, []string{"internal/layer/a.go:7", "internal/layer/a.go:8"}},

		{"a long function", "FunctionsAreShort", map[string]string{
			"internal/layer/a.go": "type t struct{}\n" + function("long", maxFunctionLines-1) + function("short", maxFunctionLines-2),
		}, []string{"internal/layer/a.go:3"}},
		{"a long file", "FilesAreShort", map[string]string{
			"internal/layer/a.go": strings.Repeat("\n", maxFileLines),
			"internal/layer/b.go": strings.Repeat("\n", maxFileLines-2),
		}, []string{"internal/layer/a.go:1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := load(snippets(test.files))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range rules()[test.rule](s) {
				got = append(got, fmt.Sprintf("%s:%d", v.pos.Filename, v.pos.Line))
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("%s found %q, want %q", test.rule, got, test.want)
			}
		})
	}
}

// snippets makes a source tree of files.
func snippets(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{
		"cmd/.keep":      {},
		"internal/.keep": {},
	}
	for path, content := range files {
		if !strings.Contains(content, "package ") {
			parts := strings.Split(path, "/")
			content = "package " + parts[len(parts)-2] + "\n" + content
		}
		tree[path] = &fstest.MapFile{Data: []byte(content)}
	}
	return tree
}

func imports(pkg string) string { return fmt.Sprintf("import %q\n", module+"/"+pkg) }

// function returns a function with that many lines in its body.
func function(name string, lines int) string {
	return "func (t) " + name + "() {\n" + strings.Repeat("\n", lines) + "}\n"
}
