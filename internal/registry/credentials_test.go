package registry_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kiln-build/kiln/internal/registry"
)

func TestLongestEntryWins(t *testing.T) {
	file := credentials(t, map[string]string{
		"reg.example.com":                "host:x",
		"reg.example.com/team":           "team:x",
		"reg.example.com/team/app":       "app:x",
		"https://old.example.com/v1/":    "old:x",
		"https://index.docker.io/v1/":    "hub:x",
		"other.example.com:5000/private": "private:x",
	})
	for ref, want := range map[string]string{
		"reg.example.com/app":               "host",
		"reg.example.com/teams/app":         "host",
		"reg.example.com/team/other":        "team",
		"reg.example.com/team/app:1":        "app",
		"reg.example.com/team/app/sub:1":    "app",
		"old.example.com/x":                 "old",
		"debian":                            "hub",
		"docker.io/bob/app":                 "hub",
		"index.docker.io/bob/app":           "hub",
		"other.example.com:5000/private/x":  "private",
		"other.example.com:5000/public":     "", // a credential stays on its path
		"other.example.com:5000/private-no": "",
		"other.example.com/private/x":       "",
	} {
		source, user, err := registry.FindCredential([]string{file}, ref)
		if err != nil || user != want {
			t.Errorf("credential for %s is %q, %v; want %q", ref, user, err, want)
		}
		if user != "" && !strings.Contains(source, file) {
			t.Errorf("source %q does not name the file", source)
		}
	}
}

func TestFirstFileThatKnowsWins(t *testing.T) {
	first := credentials(t, map[string]string{"a.example.com": "first:x"})
	second := credentials(t, map[string]string{"a.example.com": "second:x", "b.example.com": "second:x"})
	files := []string{filepath.Join(t.TempDir(), "missing"), first, second}
	for ref, want := range map[string]string{"a.example.com/x": "first", "b.example.com/x": "second", "c.example.com/x": ""} {
		if _, user, err := registry.FindCredential(files, ref); err != nil || user != want {
			t.Errorf("credential for %s is %q, %v; want %q", ref, user, err, want)
		}
	}
}

func TestMalformedFileIsNamed(t *testing.T) {
	file := writeFile(t, "config.json", `{"auths": {`)
	_, _, err := registry.FindCredential([]string{file}, "reg.example.com/app")
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error = %v, want it to name %s", err, file)
	}
}

func TestCredentialHelper(t *testing.T) {
	bin := t.TempDir()
	helper := `#!/bin/sh
read host
case $host in
reg.example.com) echo '{"Username":"helped","Secret":"x"}' ;;
*) echo credentials not found in native keychain; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for name, content := range map[string]string{
		"for all":      `{"credsStore":"test"}`,
		"for one host": `{"credHelpers":{"reg.example.com":"test"}}`,
	} {
		files := []string{writeFile(t, "config.json", content)}
		for ref, want := range map[string]string{"reg.example.com/app": "helped", "other.example.com/app": ""} {
			if _, user, err := registry.FindCredential(files, ref); err != nil || user != want {
				t.Errorf("%s: credential for %s is %q, %v; want %q", name, ref, user, err, want)
			}
		}
	}
	files := []string{writeFile(t, "config.json", `{"credsStore":"missing"}`)}
	if _, _, err := registry.FindCredential(files, "reg.example.com/app"); err == nil || !strings.Contains(err.Error(), "docker-credential-missing") {
		t.Errorf("helper that is not installed: %v, want an error that names it", err)
	}
}

func TestCredentialFiles(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"nothing set": {nil, nil},
		"home": {
			map[string]string{"HOME": "/home/bob"},
			[]string{"/home/bob/.docker/config.json", "/home/bob/.config/containers/auth.json"},
		},
		"all": {
			map[string]string{
				"HOME": "/home/bob", "DOCKER_CONFIG": "/kaniko/.docker", "REGISTRY_AUTH_FILE": "/auth.json",
				"XDG_RUNTIME_DIR": "/run/user/1", "XDG_CONFIG_HOME": "/conf",
			},
			[]string{"/kaniko/.docker/config.json", "/auth.json", "/run/user/1/containers/auth.json", "/conf/containers/auth.json"},
		},
	} {
		got := registry.CredentialFiles(func(name string) string { return c.env[name] })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
