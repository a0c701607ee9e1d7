package dockerfile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kiln-build/kiln/internal/dockerfile"
)

// TestRandomExpansions compares expansions of random words with those of
// BuildKit's shell package: the same text, or an error from both.
func TestRandomExpansions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values := []string{"A=value", "E=", "P=a/b/c.tar.gz", "S=two words", "Q=it's"}
	seen := shell.EnvsFromSlice(append([]string{"PATH=/bin"}, values...))
	images := catalog{"base": withEnv(values...)}
	for range 2000 {
		word := randomWord(random, 3)
		f, err := dockerfile.Parse("Dockerfile", []byte("FROM base\nUSER "+word+"\n"))
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		want, _, wantErr := shell.NewLex('\\').ProcessWord(word, seen)
		p, _, err := dockerfile.Resolve(t.Context(), f, dockerfile.Options{Images: images})
		if (err != nil) != (wantErr != nil) {
			t.Errorf("%q: error is %v, BuildKit's is %v", word, err, wantErr)
			continue
		}
		if err != nil {
			continue
		}
		if got := p.Target.Config().Config.User; got != want {
			t.Errorf("%q expands to %q, want %q", word, got, want)
		}
	}
}

// randomWord returns a word with variables, quotes, and modifiers that hold
// further words, so deep.
func randomWord(random *rand.Rand, depth int) string {
	pick := func(options ...string) string { return options[random.IntN(len(options))] }
	var b strings.Builder
	b.WriteString(pick("w", "x"))
	for range random.IntN(4) {
		name := pick("A", "E", "P", "S", "Q", "UNSET")
		switch random.IntN(7) {
		case 0:
			b.WriteString(pick("text", "a.b", "/", ":", "*", "é"))
		case 1:
			b.WriteString("$" + name)
		case 2:
			fmt.Fprintf(&b, "${%s}", name)
		case 3:
			b.WriteString(pick(`\$`, `\\`, `\"`, `'$A'`, `"$A"`, `"a b"`))
		default:
			inner := ""
			if depth > 0 {
				inner = randomWord(random, depth-1)
			}
			fmt.Fprintf(&b, "${%s%s%s}", name, pick(":-", ":+", ":?", "-", "+", "?", "#", "##", "%", "%%", "/a/", "//a/", "/"), inner)
		}
	}
	return b.String() + pick("", "w")
}
