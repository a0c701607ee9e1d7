package step_test

import (
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/plan"
)

func TestWorkdir(t *testing.T) {
	tests := []struct {
		name string
		dest []string
		op   plan.Workdir
		want string
	}{
		{"new", nil, plan.Workdir{Path: "/a/b"}, "a/\na/b/"},
		{"partly there", []string{"a/ 700 3:3"}, plan.Workdir{Path: "/a/b/c"}, "a/b/\na/b/c/"},
		{"there", []string{"a/b/ 700 3:3"}, plan.Workdir{Path: "/a/b", User: "1"}, ""},
		{"every part is the user's", nil, plan.Workdir{Path: "/a/b", User: "1:2"}, "a/ 755 1:2\na/b/ 755 1:2"},
		{"by name", []string{"etc/passwd=web:x:33:44::/:¶"}, plan.Workdir{Path: "/a", User: "web"}, "a/ 755 33:44"},
		{"unknown user", nil, plan.Workdir{Path: "/a", User: "web"}, "error: find user web: not in the image's /etc/passwd; a number needs no entry there"},
		{"through a link", []string{"a -> /c", "c/"}, plan.Workdir{Path: "/a/b"}, "c/b/"},
		{"through a dangling link", []string{"a -> ../../c"}, plan.Workdir{Path: "/a/b"}, "c/\nc/b/"},
		{"through a file", []string{"a"}, plan.Workdir{Path: "/a/b"}, "error: make /a/b: resolve a/b: resolve a: not a directory"},
		{"a file", []string{"a"}, plan.Workdir{Path: "/a"}, "error: mkdir /a: not a directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			delta, err := copier(t).Workdir(t.Context(), &test.op, view(test.dest...))
			var got string
			if err != nil {
				got = "error: " + err.Error()
			} else {
				got = strings.Join(describe(t, delta), "\n")
			}
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
