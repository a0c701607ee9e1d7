package step_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/plan"
)

// repository makes a git repository of one commit, served over HTTP, and
// returns its address and how to run git in it.
func repository(t *testing.T) (address string, git func(args ...string) string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git to make a repository with: ", err)
	}
	root := t.TempDir()
	work := filepath.Join(root, "work")
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", work, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(filepath.Join(work, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"f": "one", "d/x.txt": "x"} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-b", "main")
	git("add", "-A")
	git("commit", "-m", "one")
	git("update-server-info")
	server := httptest.NewServer(http.StripPrefix("/r.git", http.FileServer(http.Dir(filepath.Join(work, ".git")))))
	t.Cleanup(server.Close)
	return server.URL + "/r.git", git
}

func TestAddGit(t *testing.T) {
	address, git := repository(t)
	commit := git("rev-parse", "HEAD")
	for _, test := range []struct {
		name, source string
		op           plan.Copy
		want         string
	}{
		{"all", address, plan.Copy{Dest: "/n"}, "n/\nn/d/\nn/d/x.txt=x\nn/f=one"},
		{"subdirectory", address + "#main:d", plan.Copy{Dest: "/n/"}, "n/\nn/x.txt=x"},
		{"flags", address + "#:d", plan.Copy{Dest: "/n/", Chown: "1:2", Chmod: "700"}, "n/ 700 1:2\nn/x.txt=x 700 1:2"},
		{"--exclude", address, plan.Copy{Dest: "/n/", Excludes: []string{"d"}}, "n/\nn/f=one"},
		{"--checksum", address + "#:d", plan.Copy{Dest: "/n/", Checksum: commit[:7]}, "n/\nn/x.txt=x"},
		{"another --checksum", address, plan.Copy{Dest: "/n/", Checksum: "123"}, "error: open " + address + ": expected checksum to match 123, got " + commit},
		{"two checksums", address + "?checksum=12", plan.Copy{Dest: "/n/", Checksum: "123"}, `error: checksum mismatch "123" != "12"`},
		{"unknown ref", address + "#v9", plan.Copy{Dest: "/n/"}, "error: open " + address + ": repository does not contain ref v9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.op.Sources = []plan.Source{{Git: test.source}}
			if got := add(t, "", test.op); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	got := add(t, "", plan.Copy{Sources: []plan.Source{{Git: address}}, Dest: "/n", KeepGitDir: true})
	if !strings.Contains(got, "n/.git/HEAD="+commit) {
		t.Errorf("with --keep-git-dir:\n%s", got)
	}
}

func TestGitDigestFollowsTheCommit(t *testing.T) {
	address, git := repository(t)
	op := plan.Copy{Sources: []plan.Source{{Git: address}}, Dest: "/"}
	before := digestOf(t, nil, op)
	if digestOf(t, nil, op) != before {
		t.Error("the digest changes while the commit does not")
	}
	git("commit", "--allow-empty", "-m", "two")
	git("update-server-info")
	if digestOf(t, nil, op) == before {
		t.Error("a new commit has the digest of the one before")
	}
}
