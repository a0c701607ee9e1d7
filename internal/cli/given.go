package cli

import (
	"encoding/csv"
	"os"
	"strings"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/progress"
)

// setGiven reads what is given to steps: secrets, ssh agents, named contexts.
func (f *buildFlags) setGiven(p Process, opts *build.Options) error {
	opts.Secrets = make(map[string]build.Secret)
	for _, spec := range f.secrets {
		id, secret, err := parseSecret(p, spec)
		if err != nil {
			return err
		}
		opts.Secrets[id] = secret
	}
	opts.SSH = make(map[string][]string)
	for _, spec := range f.ssh {
		id, paths, err := parseSSH(p, spec)
		if err != nil {
			return err
		}
		opts.SSH[id] = paths
	}
	opts.Contexts = make(map[string]string)
	for _, spec := range f.contexts {
		name, where, ok := strings.Cut(spec, "=")
		if !ok || name == "" || where == "" {
			return misuse("write --build-context NAME=DIRECTORY or NAME=docker-image://IMAGE", "--build-context %q is not NAME=PLACE", spec)
		}
		opts.Contexts[name] = where
	}
	return nil
}

// parseSecret reads id=ID[,src=FILE|,env=VARIABLE]. Without either it is the
// variable ID if that is set, else the file ID, as in docker.
func parseSecret(p Process, spec string) (id string, s build.Secret, err error) {
	const hint = "write --secret id=ID,src=FILE or --secret id=ID,env=VARIABLE"
	fields, err := csv.NewReader(strings.NewReader(spec)).Read()
	if err != nil {
		return "", s, misuse(hint, "--secret %q: %v", spec, err)
	}
	var file, variable, kind string
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return "", s, misuse(hint, "--secret %q: %q has no value", spec, field)
		}
		switch strings.ToLower(key) {
		case "id":
			id = value
		case "src", "source":
			file = value
		case "env":
			variable = value
		case "type":
			kind = value
		default:
			return "", s, misuse(hint, "--secret %q: %q is not known", spec, key)
		}
	}
	switch {
	case id == "":
		return "", s, misuse(hint, "--secret %q has no id", spec)
	case kind != "" && kind != "file" && kind != "env":
		return "", s, misuse(hint, "--secret %q: type is file or env, not %s", spec, kind)
	case kind == "env" && variable == "":
		file, variable = "", file
	}
	if file == "" && variable == "" {
		if _, set := p.lookup(id); set && kind != "file" {
			variable = id
		} else {
			file = id
		}
	}
	return readSecret(p, id, file, variable)
}

func readSecret(p Process, id, file, variable string) (string, build.Secret, error) {
	if variable != "" {
		value, set := p.lookup(variable)
		if !set {
			return "", build.Secret{}, misuse("", "--secret %s: the environment has no variable %s", id, variable)
		}
		return id, build.Secret{Value: []byte(value)}, nil
	}
	if _, err := os.Stat(file); err != nil {
		return "", build.Secret{}, misuse("", "--secret %s: %v", id, err)
	}
	return id, build.Secret{File: file}, nil
}

// parseSSH reads ID[=SOCKET|=KEY[,KEY]]; without a path it is the user's agent.
func parseSSH(p Process, spec string) (id string, paths []string, err error) {
	id, list, given := strings.Cut(spec, "=")
	if id == "" {
		return "", nil, misuse("write --ssh default, or --ssh ID=SOCKET or ID=KEY", "--ssh %q has no id", spec)
	}
	if given {
		return id, strings.Split(list, ","), nil
	}
	socket := p.getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return "", nil, misuse("start ssh-agent, or name a key: --ssh "+id+"=KEY", "--ssh %s: there is no ssh agent (SSH_AUTH_SOCK is not set)", id)
	}
	return id, []string{socket}, nil
}

// maskOf returns what hides the secrets in all that is shown.
func maskOf(secrets map[string]build.Secret) (*progress.Mask, error) {
	var values []string
	for id, s := range secrets {
		value, err := s.Read()
		if err != nil {
			return nil, misuse("", "--secret %s: %v", id, err)
		}
		values = append(values, string(value))
	}
	return progress.NewMask(values...), nil
}
