package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// credential is what a registry is told about who asks.
type credential struct {
	auth authn.Authenticator
	// source says where it came from, for errors.
	source string
}

// noCredentials is the source of the anonymous credential.
const noCredentials = "without credentials"

func anonymous() credential { return credential{authn.Anonymous, noCredentials} }

// CredentialFiles returns where docker, podman and their like keep credentials,
// in the order in which they are looked at; they need not exist. getenv is
// os.Getenv.
func CredentialFiles(getenv func(string) string) []string {
	var files []string
	add := func(dir string, path ...string) {
		if dir != "" {
			files = append(files, filepath.Join(append([]string{dir}, path...)...))
		}
	}
	home := getenv("HOME")
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	add(getenv("REGISTRY_AUTH_FILE"))
	add(getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return files
}

// findCredential looks for the credential of repo. The first file that knows
// one wins; in a file, the entry with the longest path that repo is in.
func findCredential(files []string, repo name.Repository) (credential, error) {
	for _, path := range files {
		found, ok, err := credentialIn(path, repo)
		if err != nil {
			return credential{}, fmt.Errorf("read credentials for %s from %s: %w", repo.RegistryStr(), path, err)
		}
		if ok {
			return found, nil
		}
	}
	return anonymous(), nil
}

func credentialIn(path string, repo name.Repository) (found credential, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return credential{}, false, nil
	}
	if err != nil {
		return credential{}, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	file, err := config.LoadFromReader(f)
	if err != nil {
		return credential{}, false, err
	}
	key, auth, err := lookUp(file, repo)
	if err != nil || key == "" {
		return credential{}, false, err
	}
	return credential{
		auth: authn.FromConfig(authn.AuthConfig{
			Username: auth.Username, Password: auth.Password, Auth: auth.Auth,
			IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
		}),
		source: fmt.Sprintf("with the credentials for %q of %s", key, path),
	}, true, nil
}

// lookUp returns the name and content of the entry for repo; the name is "" if
// there is none.
func lookUp(file *configfile.ConfigFile, repo name.Repository) (string, types.AuthConfig, error) {
	host := hostName(repo)
	path := host + "/" + repo.RepositoryStr()
	for ; path != host; path = path[:strings.LastIndexByte(path, '/')] {
		if key, auth := entry(file, path); key != "" {
			return key, auth, nil
		}
	}
	// Credential helpers know hosts only, and come before what the file says of
	// the host.
	if key, auth, err := fromHelper(file, host); err != nil || key != "" {
		return key, auth, err
	}
	key, auth := entry(file, host)
	return key, auth, nil
}

// entry returns the entry that the file itself has for the path. (What
// GetAuthConfig returns may be that of any other path of the host.)
func entry(file *configfile.ConfigFile, path string) (string, types.AuthConfig) {
	for key, auth := range file.AuthConfigs {
		if entryName(key) == path && usable(auth) {
			return key, auth
		}
	}
	return "", types.AuthConfig{}
}

// fromHelper asks the credential helper that the file names for the host, if it
// names one.
func fromHelper(file *configfile.ConfigFile, host string) (string, types.AuthConfig, error) {
	for _, key := range helperKeys(file, host) {
		auth, err := file.GetAuthConfig(key)
		if err != nil {
			return "", types.AuthConfig{}, err
		}
		if usable(auth) {
			return key, auth, nil
		}
	}
	return "", types.AuthConfig{}, nil
}

// helperKeys returns under which names a helper may know the host: those that
// it is configured for, or those that docker login uses.
func helperKeys(file *configfile.ConfigFile, host string) []string {
	var keys []string
	for key := range file.CredentialHelpers {
		if entryName(key) == host {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) > 0 || file.CredentialsStore == "" {
		return keys
	}
	if host == dockerHub {
		keys = append(keys, authn.DefaultAuthKey)
	}
	return append(keys, host)
}

func usable(a types.AuthConfig) bool {
	return a.Username != "" || a.Password != "" || a.Auth != "" || a.IdentityToken != "" || a.RegistryToken != ""
}

// entryName cuts off what older versions of docker login wrote around a host.
func entryName(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(key, "/")
	key = strings.TrimSuffix(strings.TrimSuffix(key, "/v1"), "/v2")
	if host, path, ok := strings.Cut(key, "/"); isDockerHub(host) {
		if key = dockerHub; ok {
			key += "/" + path
		}
	}
	return key
}
