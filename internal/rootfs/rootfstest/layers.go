package rootfstest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/kiln-build/kiln/internal/layer"
)

func testLayers(t *testing.T, newEngine NewEngine) {
	b := NewBench(t, newEngine)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *Bench)
	}{
		{"whiteouts", testWhiteouts},
		{"implied directories", testImpliedDirs},
		{"apply", testApply},
		{"apply a layer that is being written", testApplyPending},
		{"two hundred", testTwoHundred},
		{"side by side", testSideBySide},
		{"content", testContent},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, b.in(t)) })
	}
}

func testWhiteouts(t *testing.T, b *Bench) {
	r := b.Open(
		b.Layer(Dir("d", 0o755), File("d/a", 0o644, ""), File("d/b", 0o644, ""), Dir("e", 0o755), File("e/a", 0o644, ""), File("f", 0o644, "")),
		b.Layer(Gone("d/a"), Opaque("e"), Dir("e", 0o700), File("e/b", 0o644, ""), Gone("nothing")),
		b.Layer(Dir("f", 0o755), File("f/a", 0o644, ""), File("d/c", 0o644, "")),
	)
	r.Shows("/d/b\n/d/c\n/e/b\n/f/a", `find /d /e /f -type f | sort`)
	r.Shows("700", `stat -c %a /e`)
	r.Changes()

	r.Do(`echo again >/d/a`)
	r.Changes(`dir 755 d`, `file 644 d/a "again\n"`)
}

// testImpliedDirs holds that a layer which does not name the directories it
// needs leaves them as they were.
func testImpliedDirs(t *testing.T, b *Bench) {
	secret, shared := Dir("secret", 0o700), Dir("shared", 0o2770)
	if hasIDs(t) {
		shared = Owned(shared, 0, 34)
	}
	r := b.Open(
		b.Layer(secret, Dir("secret/deep", 0o711), shared, Dir("gone", 0o700)),
		b.Layer(File("secret/deep/a", 0o644, ""), File("tmp/a", 0o644, ""), File("new/deep/a", 0o644, ""), File("gone/a", 0o644, "")),
		b.Layer(File("secret/b", 0o644, ""), File("shared/b", 0o644, ""), Opaque("gone"), File("gone/b", 0o644, "")),
	)
	const look = `stat -c '%a %g' /secret /secret/deep /shared /tmp /new/deep /gone`
	group := shared.GID
	want := fmt.Sprintf("700 0\n711 0\n2770 %d\n1777 0\n755 0\n700 0", group)
	r.Shows(want, look)
	r.Changes()
	r.Apply(b.Layer(File("secret/deep/c", 0o644, ""), File("tmp/c", 0o644, "")))
	r.Shows(want, look)
	r.Do(`chmod 750 /secret; touch -d @1600000000 /secret`)
	r.Changes(`dir 750 secret`)
}

func testApply(t *testing.T, b *Bench) {
	r := b.Open(b.Layer(Dir("d", 0o755), File("d/a", 0o644, "")))
	r.Apply(b.Layer(File("d/b", 0o644, ""), File("x", 0o644, "")))
	r.Shows("a\nb", `ls /d`)
	r.Changes()
	r.Do(`rm /d/b; echo run >/x`)
	r.Changes(`dir 755 d`, `gone d/b`, `file 644 x "run\n"`)
	r.Apply(b.Layer(Gone("d/a"), Dir("x", 0o755), File("x/y", 0o644, "")))
	r.Apply(b.Layer(File("d/z", 0o644, "")))
	r.Shows("z\ny", `ls /d; ls /x`)
	r.Changes()
}

func testApplyPending(t *testing.T, b *Bench) {
	r := b.Open(b.Pending(Dir("d", 0o755), File("d/a", 0o644, "a")))
	r.Apply(b.Pending(File("d/b", 0o644, "b")))
	r.Shows("ab", `cat /d/a /d/b`)
	r.Changes()
}

func testTwoHundred(t *testing.T, b *Bench) {
	var layers []*layer.Layer
	for i := range 200 {
		layers = append(layers, b.Layer(File(fmt.Sprintf("d/%03d", i), 0o644, fmt.Sprint(i))))
	}
	r := b.Open(layers...)
	r.Shows("200\n0\n199", `ls /d | wc -l; cat /d/000; echo; cat /d/199`)
	r.Do(`rm /d/007; echo new >/d/100`)
	r.Changes(`dir 755 d`, `gone d/007`, `file 644 d/100 "new\n"`)
	r.Shows("199", `ls /d | wc -l`)
}

func testSideBySide(t *testing.T, b *Bench) {
	if !b.Engine.Parallel() {
		t.Skipf("the engine %s has one root filesystem at a time", b.Engine.Name())
	}
	common := b.Layer(Dir("d", 0o755), File("d/common", 0o644, ""))
	var group sync.WaitGroup
	for i := range 8 {
		r := b.Open(common)
		group.Go(func() {
			out, err := r.Try(fmt.Sprintf(`echo %d >/d/own; sleep 0.1; ls /d; cat /d/own`, i))
			if want := fmt.Sprintf("common\nown\n%d", i); err != nil || out != want {
				t.Errorf("root filesystem %d shows %q, %v; want %q", i, out, err, want)
			}
		})
	}
	group.Wait()
}

// testContent holds that what a delta gives is what was there when it was
// taken, whatever runs next.
func testContent(t *testing.T, b *Bench) {
	r := b.Open()
	r.Do(`echo first >/f; echo first >/g`)
	d, err := r.FS.Diff(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := r.writer.Write(t.Context(), d)
	r.layers = append(r.layers, l)
	r.Do(`echo second >/f; rm /g`)
	r.Changes(`file 644 f "second\n"`, `gone g`)
	b.Open(b.remote(l)).Shows("first\nfirst", `cat /f /g`)
}
