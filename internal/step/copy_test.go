package step_test

import (
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/plan"
)

// copyCase is one COPY: what it copies from where to where, and the layer that
// comes of it. want starts with "error: " if it fails.
type copyCase struct {
	name string
	src  []string
	dest []string
	op   plan.Copy
	want []string
}

func runCopies(t *testing.T, cases []copyCase) {
	t.Helper()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			delta, err := copier(t).Copy(t.Context(), &test.op, view(test.src...), view(test.dest...))
			var got []string
			if err != nil {
				got = []string{"error: " + err.Error()}
			} else {
				got = describe(t, delta)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(test.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func TestCopyPlaces(t *testing.T) {
	src := []string{"f", "g", "d/a", "d/e/", "d/s/b 600 0:0"}
	runCopies(t, []copyCase{
		{"file to a name", src, nil, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"x=f"}},
		{"file to a directory by slash", src, nil, plan.Copy{Sources: paths("f"), Dest: "/x/"}, []string{"x/", "x/f=f"}},
		{"file to a directory by slash dot", src, nil, plan.Copy{Sources: paths("f"), Dest: "/x/."}, []string{"x/", "x/f=f"}},
		{"file to a directory that exists", src, []string{"x/"}, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"x/f=f"}},
		{"file to the root", src, nil, plan.Copy{Sources: paths("f"), Dest: "/"}, []string{"f=f"}},
		{"file into new directories", src, []string{"x/"}, plan.Copy{Sources: paths("f"), Dest: "/x/y/z"}, []string{"x/y/", "x/y/z=f"}},
		{"file over a file", src, []string{"x=before"}, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"x=f"}},
		{"several files", src, nil, plan.Copy{Sources: paths("f", "g"), Dest: "/x/"}, []string{"x/", "x/f=f", "x/g=g"}},
		{"several files to a name: the last stays", src, nil, plan.Copy{Sources: paths("f", "g"), Dest: "/x"}, []string{"x=g"}},
		{"directory to a new name", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/", "x/a=d/a", "x/e/", "x/s/", "x/s/b=d/s/b 600 0:0"}},
		{"directory into one that exists", src, []string{"x/ 700 1:1"}, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/ 700 1:1", "x/a=d/a", "x/e/", "x/s/", "x/s/b=d/s/b 600 0:0"}},
		{"directory to the root", src, nil, plan.Copy{Sources: paths("d/s"), Dest: "/"}, []string{"b=d/s/b 600 0:0"}},
		{"everything", src, nil, plan.Copy{Sources: paths("."), Dest: "/x/"},
			[]string{"x/", "x/d/", "x/d/a=d/a", "x/d/e/", "x/d/s/", "x/d/s/b=d/s/b 600 0:0", "x/f=f", "x/g=g"}},
		{"trailing slash of a source means nothing", src, nil, plan.Copy{Sources: paths("d/s/", "f/"), Dest: "/x/"},
			[]string{"x/", "x/b=d/s/b 600 0:0", "x/f=f"}},
		{"sources stay inside", src, nil, plan.Copy{Sources: paths("../../f", "/g"), Dest: "/x/"}, []string{"x/", "x/f=f", "x/g=g"}},
	})
}

func TestCopyReplaces(t *testing.T) {
	runCopies(t, []copyCase{
		{"directory over a file", []string{"d/x/y"}, []string{"x"}, plan.Copy{Sources: paths("d"), Dest: "/"},
			[]string{"error: copy d: cannot copy to non-directory: /x"}},
		{"directory over a link to a directory", []string{"d/x/y"}, []string{"x -> z", "z/"}, plan.Copy{Sources: paths("d"), Dest: "/"},
			[]string{"error: copy d: cannot copy to non-directory: /x"}},
		{"file over a directory", []string{"d/x"}, []string{"x/y"}, plan.Copy{Sources: paths("d"), Dest: "/"},
			[]string{"error: copy d: cannot replace directory /x with a file"}},
		{"link over a directory", []string{"d/x -> y"}, []string{"x/y"}, plan.Copy{Sources: paths("d"), Dest: "/"},
			[]string{"error: copy d: cannot replace directory /x with a file"}},
		{"link over a file", []string{"d/x -> y"}, []string{"x"}, plan.Copy{Sources: paths("d"), Dest: "/"}, []string{"x -> y"}},
		{"file over a link", []string{"d/x"}, []string{"x -> y", "y"}, plan.Copy{Sources: paths("d"), Dest: "/"}, []string{"x=d/x"}},
		{"through a file", []string{"f"}, []string{"x"}, plan.Copy{Sources: paths("f"), Dest: "/x/"},
			[]string{"error: copy f: mkdir /x: not a directory"}},
		{"the name in the way is a directory", []string{"f"}, []string{"x/f/"}, plan.Copy{Sources: paths("f"), Dest: "/x/"},
			[]string{"error: copy f: cannot replace directory /x/f with a file"}},
		{"directories below the destination become like their source", []string{"d/x/ 2770 5:6", "d/x/y"}, []string{"x/ 700 1:1"},
			plan.Copy{Sources: paths("d"), Dest: "/"}, []string{"x/ 2770 5:6", "x/y=d/x/y"}},
		{"a later source over an earlier", []string{"a/x", "b/x"}, nil, plan.Copy{Sources: paths("a", "b"), Dest: "/w"},
			[]string{"w/", "w/x=b/x"}},
		{"a later directory over an earlier file", []string{"a/x", "b/x/y"}, nil, plan.Copy{Sources: paths("a", "b"), Dest: "/w"},
			[]string{"error: copy b: cannot copy to non-directory: /w/x"}},
	})
}

func TestCopyFollowsLinks(t *testing.T) {
	runCopies(t, []copyCase{
		{"link named as the source", []string{"l -> f", "f"}, nil, plan.Copy{Sources: paths("l"), Dest: "/x/"}, []string{"x/", "x/l=f"}},
		{"link to a directory as the source", []string{"l -> d", "d/a"}, nil, plan.Copy{Sources: paths("l"), Dest: "/x"}, []string{"x/", "x/a=d/a"}},
		{"link on the way to the source", []string{"l -> d", "d/a"}, nil, plan.Copy{Sources: paths("l/a"), Dest: "/x"}, []string{"x=d/a"}},
		{"links that leave the root", []string{"l -> ../../f", "m -> /f", "f"}, nil, plan.Copy{Sources: paths("l", "m"), Dest: "/x/"},
			[]string{"x/", "x/l=f", "x/m=f"}},
		{"links that a pattern matches", []string{"l1 -> f", "l2 -> d", "f", "d/a"}, nil, plan.Copy{Sources: paths("l*"), Dest: "/x/"},
			[]string{"x/", "x/a=d/a", "x/l1=f"}},
		{"links inside a directory", []string{"d/l -> ../f", "d/m -> /nowhere", "d/self -> self", "f"}, nil, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/", "x/l -> ../f", "x/m -> /nowhere", "x/self -> self"}},
		{"dangling link as the source", []string{"l -> gone"}, nil, plan.Copy{Sources: paths("l"), Dest: "/x"},
			[]string{"error: find source l: not found in the build context; it is a link to gone, which does not exist"}},
		{"link in a circle as the source", []string{"l -> l"}, nil, plan.Copy{Sources: paths("l"), Dest: "/x"},
			[]string{"error: find source l: resolve l: too many levels of symbolic links"}},
		{"destination is a link to a directory", []string{"f"}, []string{"x -> y", "y/"}, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"y/f=f"}},
		{"destination leads through links", []string{"f"}, []string{"x -> /y/../z", "y/", "z/w -> ../../../v"}, plan.Copy{Sources: paths("f"), Dest: "/x/w/"},
			[]string{"v/", "v/f=f"}},
		{"destination is a link to a file", []string{"f"}, []string{"x -> y", "y"}, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"y=f"}},
		{"destination is a dangling link", []string{"f"}, []string{"x -> a/b"}, plan.Copy{Sources: paths("f"), Dest: "/x"}, []string{"a/", "a/b=f"}},
		{"destination is a dangling link, with a slash", []string{"f"}, []string{"x -> a/b"}, plan.Copy{Sources: paths("f"), Dest: "/x/"},
			[]string{"a/", "a/b/", "a/b/f=f"}},
		{"directory to a link to a directory", []string{"d/a"}, []string{"x -> y", "y/"}, plan.Copy{Sources: paths("d"), Dest: "/x"}, []string{"y/", "y/a=d/a"}},
	})
}

func TestCopyMatches(t *testing.T) {
	src := []string{"a.txt", "b.txt", "c.md", ".hidden", "d/x.txt", "d/e/y.txt", "e/x.txt", "with␣space", "arr[0].txt"}
	runCopies(t, []copyCase{
		{"star", src, nil, plan.Copy{Sources: paths("*.txt"), Dest: "/x/"}, []string{"x/", "x/a.txt=a.txt", "x/arr[0].txt=arr[0].txt", "x/b.txt=b.txt"}},
		{"star matches hidden files and directories", []string{".hidden", "d/x", "f"}, nil, plan.Copy{Sources: paths("*"), Dest: "/x/"},
			[]string{"x/", "x/.hidden=.hidden", "x/f=f", "x/x=d/x"}},
		{"question mark", src, nil, plan.Copy{Sources: paths("?.md"), Dest: "/x/"}, []string{"x/", "x/c.md=c.md"}},
		{"class", src, nil, plan.Copy{Sources: paths("[ab].txt"), Dest: "/x/"}, []string{"x/", "x/a.txt=a.txt", "x/b.txt=b.txt"}},
		{"a bracket as a class", src, nil, plan.Copy{Sources: paths("arr[[]0].txt"), Dest: "/x/"}, []string{"x/", "x/arr[0].txt=arr[0].txt"}},
		{"in the middle", src, nil, plan.Copy{Sources: paths("*/x.txt"), Dest: "/x/"}, []string{"x/", "x/x.txt=e/x.txt"}},
		{"two stars are one", src, nil, plan.Copy{Sources: paths("**/y.txt"), Dest: "/x/"}, nil},
		{"a name with a space", src, nil, plan.Copy{Sources: []plan.Source{{Path: "with space"}}, Dest: "/x/"}, []string{"x/", "x/with space=with space"}},
		{"no match is no error", src, nil, plan.Copy{Sources: paths("*.go", "c.md"), Dest: "/x/"}, []string{"x/", "x/c.md=c.md"}},
		{"no match makes nothing", src, nil, plan.Copy{Sources: paths("*.go"), Dest: "/x/"}, nil},
		{"bad pattern", src, nil, plan.Copy{Sources: paths("a["), Dest: "/x/"}, []string{"error: match source a[: syntax error in pattern"}},
		{"missing", src, nil, plan.Copy{Sources: paths("a.txt", "gone"), Dest: "/x/"}, []string{"error: find source gone: not found in the build context"}},
		{"missing before a pattern", src, nil, plan.Copy{Sources: paths("gone/*"), Dest: "/x/"}, []string{"error: find source gone/*: not found in the build context"}},
	})
}

func TestCopyHardLinks(t *testing.T) {
	runCopies(t, []copyCase{
		{"stay together", []string{"d/a", "d/b => d/a", "d/s/c => d/a"}, nil, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/", "x/a=d/a", "x/b => x/a", "x/s/", "x/s/c => x/a"}},
		{"the first name is not copied", []string{"a", "d/b => a", "d/c => a"}, nil, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/", "x/b=a", "x/c => x/b"}},
		{"the first name comes last", []string{"d/z", "d/a => d/z", "d/b => d/z"}, nil, plan.Copy{Sources: paths("d"), Dest: "/x"},
			[]string{"x/", "x/a=d/z", "x/b => x/a", "x/z => x/a"}},
		{"not between sources", []string{"a", "b => a"}, nil, plan.Copy{Sources: paths("a", "b"), Dest: "/x/"}, []string{"x/", "x/a=a", "x/b=a"}},
		{"one name is overwritten by a later source", []string{"d/a", "d/b => d/a", "e/a"}, nil, plan.Copy{Sources: paths("d", "e"), Dest: "/x"},
			[]string{"x/", "x/a=e/a", "x/b=d/a"}},
	})
}
