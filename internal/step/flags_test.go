package step_test

import (
	"testing"

	"github.com/kiln-build/kiln/internal/plan"
)

func TestCopyChown(t *testing.T) {
	src := []string{"f 640 7:8", "d/a 600 7:8", "d/s/ 700 7:8", "d/s/b"}
	dest := []string{"etc/passwd=root:x:0:0::/:¶web:x:33:44::/:¶", "etc/group=root:x:0:¶staff:x:50:¶", "has/s/ 700 5:6"}
	runCopies(t, []copyCase{
		{"none keeps the owner", src, dest, plan.Copy{Sources: paths("f"), Dest: "/n/f"}, []string{"n/", "n/f=f 640 7:8"}},
		{"ids", src, dest, plan.Copy{Sources: paths("f"), Dest: "/n/f", Chown: "1:2"}, []string{"n/ 755 1:2", "n/f=f 640 1:2"}},
		{"a number is its own group", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "33"}, []string{"x=f 640 33:33"}},
		{"a number with an empty group", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "33:"}, []string{"x=f 640 33:33"}},
		{"a name brings its group", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "web"}, []string{"x=f 640 33:44"}},
		{"a name with an empty group", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "web:"}, []string{"x=f 640 33:44"}},
		{"both names", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "web:staff"}, []string{"x=f 640 33:50"}},
		{"mixed", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "9:staff"}, []string{"x=f 640 9:50"}},
		{"root needs no file", src, nil, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "root:root"}, []string{"x=f 640 0:0"}},
		{"all of a directory", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Chown: "1:2"},
			[]string{"x/ 755 1:2", "x/a=d/a 600 1:2", "x/s/ 700 1:2", "x/s/b=d/s/b 644 1:2"}},
		{"the destination keeps its owner, what is in it does not", src, dest, plan.Copy{Sources: paths("d"), Dest: "/has", Chown: "1:2"},
			[]string{"has/", "has/a=d/a 600 1:2", "has/s/ 700 1:2", "has/s/b=d/s/b 644 1:2"}},
		{"through a link", src, []string{"etc/passwd -> ../lib/users", "lib/users=web:x:33:44::/:¶"},
			plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "web"}, []string{"x=f 640 33:44"}},
		{"unknown user", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "nosuch"},
			[]string{"error: find user nosuch: not in the image's /etc/passwd; a number needs no entry there"}},
		{"unknown group", src, nil, plan.Copy{Sources: paths("f"), Dest: "/x", Chown: "1:nosuch"},
			[]string{"error: find group nosuch: not in the image's /etc/group; a number needs no entry there"}},
	})
}

func TestCopyChmod(t *testing.T) {
	src := []string{"f 640 0:0", "x 755 0:0", "d/ 700 0:0", "d/a 4755 0:0", "d/s/ 2750 0:0", "d/l -> a"}
	runCopies(t, []copyCase{
		{"octal", src, nil, plan.Copy{Sources: paths("f"), Dest: "/n/f", Chmod: "0770"}, []string{"n/ 770 0:0", "n/f=f 770 0:0"}},
		{"octal with setuid: not for directories on the way", src, nil, plan.Copy{Sources: paths("f"), Dest: "/n/f", Chmod: "4711"},
			[]string{"n/ 711 0:0", "n/f=f 4711 0:0"}},
		{"zero", src, nil, plan.Copy{Sources: paths("f"), Dest: "/f", Chmod: "0"}, []string{"f=f 0 0:0"}},
		{"octal, a directory", src, nil, plan.Copy{Sources: paths("d"), Dest: "/n", Chmod: "711"},
			[]string{"n/ 711 0:0", "n/a=d/a 711 0:0", "n/l -> a", "n/s/ 711 0:0"}},
		{"octal, an existing destination", src, []string{"n/ 700 1:1"}, plan.Copy{Sources: paths("d/s"), Dest: "/n", Chmod: "711"}, []string{"n/ 700 1:1"}},
		{"symbolic", src, nil, plan.Copy{Sources: paths("d"), Dest: "/n", Chmod: "u=rwX,go=rX"},
			[]string{"n/", "n/a=d/a 755 0:0", "n/l -> a", "n/s/"}},
		{"symbolic, adding", src, nil, plan.Copy{Sources: paths("f", "x"), Dest: "/n/", Chmod: "g-r,+x"}, []string{"n/", "n/f=f 711 0:0", "n/x=x 715 0:0"}},
		{"too large", src, nil, plan.Copy{Sources: paths("f"), Dest: "/f", Chmod: "10000"},
			[]string{"error: invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777"}},
		{"nearly a number", src, nil, plan.Copy{Sources: paths("f"), Dest: "/f", Chmod: "64a"},
			[]string{"error: invalid chmod parameter: '64a'. it should be octal string and between 0 and 07777"}},
		{"modes are kept without it", src, nil, plan.Copy{Sources: paths("d"), Dest: "/n"}, []string{"n/", "n/a=d/a 4755 0:0", "n/l -> a", "n/s/ 2750 0:0"}},
	})
}

func TestCopyLink(t *testing.T) {
	src := []string{"f", "d/a"}
	dest := []string{"x -> y", "y/ 700 5:5", "etc/passwd=web:x:33:44::/:¶"}
	runCopies(t, []copyCase{
		{"does not look at what is below", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x/", Link: true}, []string{"x/", "x/f=f"}},
		{"directory", src, dest, plan.Copy{Sources: paths("d"), Dest: "/y/z", Link: true}, []string{"y/", "y/z/", "y/z/a=d/a"}},
		{"with --chmod it is an ordinary copy", src, dest, plan.Copy{Sources: paths("f"), Dest: "/x/", Link: true, Chmod: "600"}, []string{"y/f=f 600 0:0"}},
		{"owner by id", src, dest, plan.Copy{Sources: paths("f"), Dest: "/f", Link: true, Chown: "1:2"}, []string{"f=f 644 1:2"}},
		{"owner by name", src, dest, plan.Copy{Sources: paths("f"), Dest: "/f", Link: true, Chown: "web"},
			[]string{"error: --chown=web: user and group names can't be resolved when used with --link, use numeric uid[:gid] instead"}},
	})
}

func TestCopyParents(t *testing.T) {
	src := []string{"a/ 700 0:0", "a/b/c/f", "a/b/d/g.txt", "a/b2/c/h.txt", "a/top.txt", "l -> a", "f"}
	p := func(dest string, sources ...string) plan.Copy {
		return plan.Copy{Sources: paths(sources...), Dest: dest, Parents: true}
	}
	runCopies(t, []copyCase{
		{"file", src, nil, p("/x/", "a/b/c/f"), []string{"x/", "x/a/ 700 0:0", "x/a/b/", "x/a/b/c/", "x/a/b/c/f=a/b/c/f"}},
		{"without a slash", src, nil, p("/x", "f"), []string{"x/", "x/f=f"}},
		{"directory", src, nil, p("/x/", "a/b"), []string{"x/", "x/a/ 700 0:0", "x/a/b/", "x/a/b/c/", "x/a/b/c/f=a/b/c/f", "x/a/b/d/", "x/a/b/d/g.txt=a/b/d/g.txt"}},
		{"pattern", src, nil, p("/x/", "a/*/c/f"), []string{"x/", "x/a/ 700 0:0", "x/a/b/", "x/a/b/c/", "x/a/b/c/f=a/b/c/f"}},
		{"two stars match any number of directories", src, nil, p("/x/", "a/**/*.txt"),
			[]string{"x/", "x/a/ 700 0:0", "x/a/b/", "x/a/b/d/", "x/a/b/d/g.txt=a/b/d/g.txt", "x/a/b2/", "x/a/b2/c/", "x/a/b2/c/h.txt=a/b2/c/h.txt", "x/a/top.txt=a/top.txt"}},
		{"pivot", src, nil, p("/x/", "a/./b/c"), []string{"x/", "x/b/", "x/b/c/", "x/b/c/f=a/b/c/f"}},
		{"pivot and pattern", src, nil, p("/x/", "a/b*/./c"), []string{"x/", "x/c/", "x/c/f=a/b/c/f", "x/c/h.txt=a/b2/c/h.txt"}},
		{"only the first pivot counts", src, nil, p("/x/", "/a/./b/./c"), []string{"x/", "x/b/", "x/b/c/", "x/b/c/f=a/b/c/f"}},
		{"leading and trailing dots", src, nil, p("/x/", "./a/b/c/."), []string{"x/", "x/a/ 700 0:0", "x/a/b/", "x/a/b/c/", "x/a/b/c/f=a/b/c/f"}},
		{"a parent that exists gets the mode of its source, not its owner", src, []string{"x/a/ 755 9:9"}, p("/x/", "a/top.txt"),
			[]string{"x/", "x/a/ 700 9:9", "x/a/top.txt=a/top.txt"}},
		{"a link is copied, not followed", src, nil, p("/x/", "l"), []string{"x/", "x/l -> a"}},
		{"missing", src, nil, p("/x/", "a/gone"), []string{"error: find source a/gone: not found in the build context"}},
		{"missing behind a link", src, nil, p("/x/", "l/b"), []string{"error: find source l/b: not found in the build context"}},
		{"a pattern may match nothing", src, nil, p("/x/", "a/*/gone"), []string{"x/"}},
		{"with --exclude", src, nil, plan.Copy{Sources: paths("a"), Dest: "/x/", Parents: true, Excludes: []string{"**/*.txt", "a/b"}},
			[]string{"x/", "x/a/ 700 0:0", "x/a/b2/", "x/a/b2/c/"}},
	})
}

func TestCopyExclude(t *testing.T) {
	src := []string{"d/a.txt", "d/b.md", "d/s/c.txt", "d/s/d.md", "e/x.txt", "e/k/y", "top.txt"}
	runCopies(t, []copyCase{
		{"at the top", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Excludes: []string{"*.txt"}},
			[]string{"x/", "x/b.md=d/b.md", "x/s/", "x/s/c.txt=d/s/c.txt", "x/s/d.md=d/s/d.md"}},
		{"at any depth", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Excludes: []string{"**/*.txt"}},
			[]string{"x/", "x/b.md=d/b.md", "x/s/", "x/s/d.md=d/s/d.md"}},
		{"several", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Excludes: []string{"*.txt", "s"}}, []string{"x/", "x/b.md=d/b.md"}},
		{"relative to each source", src, nil, plan.Copy{Sources: paths("*"), Dest: "/x/", Excludes: []string{"*.txt"}},
			[]string{"x/", "x/b.md=d/b.md", "x/k/", "x/k/y=e/k/y", "x/s/", "x/s/c.txt=d/s/c.txt", "x/s/d.md=d/s/d.md", "x/top.txt=top.txt"}},
		{"with an exception", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Excludes: []string{"*", "!s/c.txt"}}, []string{"x/", "x/s/", "x/s/c.txt=d/s/c.txt"}},
		{"everything", src, nil, plan.Copy{Sources: paths("d"), Dest: "/x", Excludes: []string{"*"}}, []string{"x/"}},
	})
}

func TestCopyInline(t *testing.T) {
	inline := func(dest string, op plan.Copy) plan.Copy {
		op.Sources = []plan.Source{{Inline: &plan.InlineFile{Name: "a", Content: []byte("one\n")}}}
		op.Dest = dest
		return op
	}
	runCopies(t, []copyCase{
		{"to a name", nil, nil, inline("/x/b", plan.Copy{}), []string{"x/", "x/b=one\n"}},
		{"to a directory", nil, nil, inline("/x/", plan.Copy{}), []string{"x/", "x/a=one\n"}},
		{"with flags", nil, nil, inline("/b", plan.Copy{Chmod: "700", Chown: "1:2"}), []string{"b=one\n 700 1:2"}},
		{"over a directory", nil, []string{"x/a/"}, inline("/x/", plan.Copy{}), []string{"error: copy <<a: cannot replace directory /x/a with a file"}},
	})
}

func TestCopyRefusesNamesThatALayerCannotHold(t *testing.T) {
	runCopies(t, []copyCase{
		{"whiteout", []string{"d/.wh.x"}, nil, plan.Copy{Sources: paths("d"), Dest: "/"},
			[]string{"error: copy d: a layer cannot hold .wh.x: a name that starts with .wh. means a deletion"}},
	})
}
