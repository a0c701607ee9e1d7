package rootfstest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
)

// change is what a script changes over busybox and base, and what the layer
// says of it.
type change struct {
	name   string
	base   Tree
	script string
	want   []string
	// ids says that other ids than the user's own are needed.
	ids bool
}

func testChanges(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	for _, c := range allChanges() {
		t.Run(c.name, func(t *testing.T) {
			if c.ids && !hasIDs(t) {
				t.Skip("needs a range of ids")
			}
			b := b.in(t)
			r := b.Open(b.Layer(c.base...))
			r.Do(c.script)
			r.Changes(c.want...)
			want := r.Listing()
			if got := r.Reopened().Listing(); got != want {
				t.Errorf("opened from its layers the root filesystem shows\n%s\nwant\n%s", got, want)
			}
		})
	}
	t.Run("sparse gigabyte", func(t *testing.T) { testBigFile(t, b.in(t)) })
	t.Run("ten thousand files", func(t *testing.T) { testManyFiles(t, b.in(t)) })
	t.Run("several runs, one layer", func(t *testing.T) { testSeveralRuns(t, b.in(t)) })
	t.Run("a layer each run", func(t *testing.T) { testLayerEachRun(t, b.in(t)) })
}

// in returns the bench for a subtest.
func (b *Bench) in(t testing.TB) *Bench {
	sub := *b
	sub.TB = t
	return &sub
}

func allChanges() []change {
	var all []change
	for _, some := range [][]change{newFiles(), changedFiles(), deletedFiles(), replacedFiles(), linkedFiles(), specialFiles()} {
		all = append(all, some...)
	}
	return all
}

func newFiles() []change {
	return []change{
		{
			name:   "nothing",
			script: `true`,
		}, {
			name:   "a file that was there for a moment",
			script: `touch /f; rm /f`,
		}, {
			name:   "new file",
			script: `echo hi >/f`,
			want:   []string{`file 644 f "hi\n"`},
		}, {
			name:   "new file in a directory",
			base:   Tree{Dir("d", 0o755), File("d/old", 0o644, "")},
			script: `echo hi >/d/f`,
			want:   []string{`dir 755 d`, `file 644 d/f "hi\n"`},
		}, {
			name:   "new directories",
			script: `mkdir -p /d/e/f; touch /d/e/g; chmod 700 /d/e`,
			want:   []string{`dir 755 d`, `dir 700 d/e`, `dir 755 d/e/f`, `file 644 d/e/g ""`},
		}, {
			name:   "order of names",
			script: `mkdir /a; touch /a/b /a.b /a-b /ab /-x`,
			want:   []string{`file 644 -x ""`, `dir 755 a`, `file 644 a/b ""`, `file 644 a-b ""`, `file 644 a.b ""`, `file 644 ab ""`},
		}, {
			name:   "odd names",
			script: `touch "/a b" "/$(printf 'n\nl')" "/$(printf 'x\377y')" /'*' /é /` + strings.Repeat("l", 255),
			want: []string{
				`file 644 * ""`, `file 644 a b ""`, `file 644 ` + strings.Repeat("l", 255) + ` ""`, "file 644 n\nl \"\"", "file 644 x\xffy \"\"", `file 644 é ""`,
			},
		}, {
			name:   "symbolic links",
			script: `ln -s /nowhere /a; ln -s ../../.. /b`,
			want:   []string{`symlink a -> /nowhere`, `symlink b -> ../../..`},
		},
	}
}

func changedFiles() []change {
	base := Tree{Dir("d", 0o755), Dir("d/e", 0o755), File("d/e/f", 0o644, "old"), Symlink("d/s", "e")}
	return []change{
		{
			name:   "content",
			base:   base,
			script: `echo new >/d/e/f`,
			want:   []string{`file 644 d/e/f "new\n"`},
		}, {
			name:   "content with the same size and time",
			base:   base,
			script: `touch -r /d/e/f /tmp/t; printf new >/d/e/f; touch -r /tmp/t /d/e/f; rm /tmp/t; touch -d @1600000000 /tmp`,
			want:   []string{`file 644 d/e/f "new"`},
		}, {
			name:   "time",
			base:   base,
			script: `touch /d/e/f`,
			want:   []string{`file 644 d/e/f "old"`},
		}, {
			name:   "mode of a file",
			base:   base,
			script: `chmod 600 /d/e/f`,
			want:   []string{`file 600 d/e/f "old"`},
		}, {
			name:   "mode of a directory",
			base:   base,
			script: `chmod 700 /d`,
			want:   []string{`dir 700 d`},
		}, {
			name:   "mode of the root",
			script: `chmod 711 /; touch /-x`,
			want:   []string{`file 644 -x ""`, `dir 711 .`},
		}, {
			name:   "set-id and sticky bits",
			base:   base,
			script: `chmod 4755 /d/e/f; chmod 3777 /d`,
			want:   []string{`dir 3777 d`, `file 4755 d/e/f "old"`},
		}, {
			name:   "owner",
			base:   base,
			ids:    true,
			script: `chown 12:34 /d/e/f; chown -h 12 /d/s; chown :34 /d`,
			want:   []string{`dir 755 0:34 d`, `file 644 12:34 d/e/f "old"`, `symlink d/s -> e`},
		}, {
			name:   "extended attribute of a file",
			base:   base,
			script: `/tool setxattr /d/e/f user.color red`,
			want:   []string{`file 644 d/e/f "old" user.color="red"`},
		}, {
			name:   "extended attribute of a directory",
			base:   base,
			script: `/tool setxattr /d user.color red`,
			want:   []string{`dir 755 d user.color="red"`},
		}, {
			name:   "file capability",
			base:   base,
			script: `/tool setcap /d/e/f`,
			want:   []string{`file 644 d/e/f "old" security.capability="\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"`},
		}, {
			name: "same mode, owner, time and content as before",
			base: Tree{
				Dir("d", 0o755), WithXattr(File("d/f", 0o644, "old"), "user.color", "red"), File("d/g", 0o644, "old"),
				Symlink("d/s", "f"), File("d/h", 0o600, "old"),
			},
			script: `chmod 644 /d/f; chown -h 0:0 /d/f /d/s /d; printf old >/d/g; touch -d @1600000000 /d/g; : >>/d/h`,
		},
	}
}

func deletedFiles() []change {
	base := Tree{Dir("d", 0o755), Dir("d/e", 0o755), File("d/e/f", 0o644, "old"), File("d/g", 0o644, "old")}
	return []change{
		{
			name:   "file",
			base:   base,
			script: `rm /d/g`,
			want:   []string{`dir 755 d`, `gone d/g`},
		}, {
			name:   "directory",
			base:   base,
			script: `rm -r /d/e`,
			want:   []string{`dir 755 d`, `gone d/e`},
		}, {
			name:   "top directory",
			base:   base,
			script: `rm -r /d`,
			want:   []string{`gone d`},
		}, {
			name:   "file deleted and made again",
			base:   base,
			script: `rm /d/g; echo new >/d/g`,
			want:   []string{`dir 755 d`, `file 644 d/g "new\n"`},
		}, {
			name:   "directory deleted and made again",
			base:   base,
			script: `rm -r /d/e; mkdir /d/e; echo new >/d/e/new`,
			want:   []string{`dir 755 d`, `opaque d/e`, `dir 755 d/e`, `file 644 d/e/new "new\n"`},
		}, {
			name:   "everything in a directory",
			base:   base,
			script: `rm -r /d/e /d/g`,
			want:   []string{`dir 755 d`, `gone d/e`, `gone d/g`},
		}, {
			name:   "renamed directory",
			base:   base,
			script: `mv /d/e /moved`,
			want:   []string{`dir 755 d`, `gone d/e`, `dir 755 moved`, `file 644 moved/f "old"`},
		}, {
			name:   "renamed file",
			base:   base,
			script: `mv /d/g /d/e/g`,
			want:   []string{`dir 755 d`, `dir 755 d/e`, `file 644 d/e/g "old"`, `gone d/g`},
		},
	}
}

func replacedFiles() []change {
	base := Tree{Dir("d", 0o755), File("d/f", 0o644, "old"), File("f", 0o644, "old"), Symlink("s", "d")}
	return []change{
		{
			name:   "directory by file",
			base:   base,
			script: `rm -r /d; echo new >/d`,
			want:   []string{`file 644 d "new\n"`},
		}, {
			name:   "file by directory",
			base:   base,
			script: `rm /f; mkdir /f; touch /f/g`,
			want:   []string{`dir 755 f`, `file 644 f/g ""`},
		}, {
			name:   "directory by symbolic link",
			base:   base,
			script: `rm -r /d; ln -s f /d`,
			want:   []string{`symlink d -> f`},
		}, {
			name:   "symbolic link by directory",
			base:   base,
			script: `rm /s; mkdir /s; touch /s/g`,
			want:   []string{`dir 755 s`, `file 644 s/g ""`},
		}, {
			name:   "symbolic link by file",
			base:   base,
			script: `rm /s; echo new >/s`,
			want:   []string{`file 644 s "new\n"`},
		}, {
			name:   "file by symbolic link",
			base:   base,
			script: `ln -sf d /f`,
			want:   []string{`symlink f -> d`},
		}, {
			name:   "symbolic link by another",
			base:   base,
			script: `ln -sfn f /s`,
			want:   []string{`symlink s -> f`},
		}, {
			name:   "through a symbolic link",
			base:   base,
			script: `echo new >/s/g`,
			want:   []string{`dir 755 d`, `file 644 d/g "new\n"`},
		}, {
			name:   "directory moved aside and replaced",
			base:   base,
			script: `mv /d /aside; mkdir -m 700 /d; mv /aside/f /d/g; rmdir /aside`,
			want:   []string{`opaque d`, `dir 700 d`, `file 644 d/g "old"`},
		},
	}
}

func linkedFiles() []change {
	base := Tree{Dir("d", 0o755), File("d/a", 0o644, "old"), File("d/m", 0o644, "two"), Link("d/n", "d/m")}
	return []change{
		{
			name:   "new pair",
			script: `echo x >/b; ln /b /a; mkdir /c; ln /a /c/d`,
			want:   []string{`file 644 a "x\n"`, `link b = a`, `dir 755 c`, `link c/d = a`},
		}, {
			name:   "new name for an old file",
			base:   base,
			script: `ln /d/a /z`,
			want:   []string{`file 644 d/a "old"`, `link z = d/a`},
		}, {
			name:   "new name for an old file, before it",
			base:   base,
			script: `ln /d/a /a`,
			want:   []string{`file 644 a "old"`, `link d/a = a`},
		}, {
			name:   "one of two old names deleted",
			base:   base,
			script: `rm /d/n; touch -d @1600000000 /d`,
			want:   []string{`gone d/n`},
		}, {
			name:   "one of two old names replaced",
			base:   base,
			script: `echo new >/x; mv /x /d/m; touch -d @1600000000 /d`,
			want:   []string{`file 644 d/m "new\n"`},
		}, {
			name:   "two files become one",
			base:   Tree{File("a", 0o644, "same"), File("b", 0o644, "same")},
			script: `ln -f /a /b`,
			want:   []string{`file 644 a "same"`, `link b = a`},
		}, {
			name:   "symbolic link with two names",
			script: `ln -s x /a; ln /a /b`,
			want:   []string{`symlink a -> x`, `symlink b -> x`},
		},
	}
}

func specialFiles() []change {
	return []change{
		{
			name:   "fifo",
			script: `mkfifo /f`,
			want:   []string{`fifo 644 f`},
		}, {
			name:   "socket",
			base:   Tree{File("f", 0o644, "old")},
			script: `/tool socket /s; rm /f; /tool socket /f`,
			want:   []string{`gone f`},
		},
	}
}

func testBigFile(t *testing.T, b *Bench) {
	r := b.Open()
	const size = 1 << 30
	r.Do(`truncate -s 1073741821 /f; printf end >>/f`)
	d, err := r.FS.Diff(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := d.Entries(); len(e) != 1 || e[0].Size != size {
		t.Fatalf("the layer says %v", e)
	}
	f, err := d.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, f, size-3); err != nil {
		t.Fatal(err)
	}
	if end, err := io.ReadAll(f); string(end) != "end" || err != nil {
		t.Errorf("the file ends in %q, %v", end, err)
	}
	if err := errors.Join(f.Close(), d.Release("")); err != nil {
		t.Error(err)
	}
}

func testManyFiles(t *testing.T, b *Bench) {
	r := b.Open()
	r.Do(`mkdir /d; cd /d; for i in $(seq 100); do mkdir $i; (cd $i; seq 100 | xargs touch); done`)
	d, err := r.FS.Diff(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(d.Entries()), 1+100+100*100; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	checkOrder(t, d.Entries())
	r.written(d)

	r.Do(`rm /d/50/50; echo x >/d/99/99`)
	r.Changes(`dir 755 d/50`, `gone d/50/50`, `file 644 d/99/99 "x\n"`)
}

// checkOrder fails the test if entries are not as [layer.Delta] has them.
func checkOrder(t testing.TB, entries []layer.Entry) {
	t.Helper()
	for i := 1; i < len(entries); i++ {
		if layer.Compare(entries[i-1].Path, entries[i].Path) >= 0 {
			t.Fatalf("%s comes before %s", entries[i-1].Path, entries[i].Path)
		}
	}
}

func testSeveralRuns(t *testing.T, b *Bench) {
	r := b.Open(b.Layer(Dir("d", 0o755), File("d/f", 0o644, "old")))
	r.Do(`echo 1 >/a; rm /d/f`)
	r.Do(`echo 2 >/b; echo again >/d/f`)
	r.Do(`rm /a`)
	r.Changes(`file 644 b "2\n"`, `dir 755 d`, `file 644 d/f "again\n"`)
	r.Changes()
}

func testLayerEachRun(t *testing.T, b *Bench) {
	r := b.Open()
	r.Do(`mkdir /d; echo 1 >/d/a`)
	first := r.Changes(`dir 755 d`, `file 644 d/a "1\n"`)
	r.Do(`echo 2 >/d/b; ln /d/a /d/c`)
	r.Changes(`dir 755 d`, `file 644 d/a "1\n"`, `file 644 d/b "2\n"`, `link d/c = d/a`)
	r.Do(`rm -r /d; mkdir /d; touch /d/e`)
	r.Changes(`opaque d`, `dir 755 d`, `file 644 d/e ""`)
	r.Shows("e", `ls /d`)

	for i := range 5 {
		r.Do(fmt.Sprintf(`echo %d >/n`, i))
		r.Changes(fmt.Sprintf(`file 644 n "%d\n"`, i))
	}
	// Another stage starts from the first layer, before and after it is found
	// in the store.
	for _, l := range []*layer.Layer{first, b.remote(first)} {
		b.Open(l).Shows("a", `ls /d`)
	}
}
