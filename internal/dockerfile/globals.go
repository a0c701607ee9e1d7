package dockerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// setGlobals finds out the values of the ARGs that FROM sees: those of the
// platforms, and those before the first FROM.
func (r *resolver) setGlobals(declarations []instructions.Stage, commands []instructions.ArgCommand) error {
	platform := r.platformArgs(declarations)
	r.lintDefaultBases(declarations, platform, commands)
	globals, err := r.expandGlobals(platform, commands, r.buildArgs)
	if err != nil {
		return err
	}
	for _, cmd := range commands {
		for _, arg := range cmd.Args {
			r.declared = append(r.declared, arg.Key)
		}
	}
	r.argLines = argLines(declarations)
	r.globals = globals
	return r.setEpoch(commands)
}

// argLines returns where stages declare ARGs: the first line for each.
func argLines(declarations []instructions.Stage) map[string]int {
	lines := make(map[string]int)
	for _, d := range declarations {
		for _, cmd := range d.Commands {
			c, isArg := cmd.(*instructions.ArgCommand)
			if !isArg {
				continue
			}
			for _, a := range c.Args {
				if lines[a.Key] == 0 {
					lines[a.Key] = c.Location()[0].Start.Line
				}
			}
		}
	}
	return lines
}

// platformArgs returns the ARGs that are there without being declared, in the
// global scope only ("Automatic platform ARGs in the global scope" in the
// reference).
func (r *resolver) platformArgs(declarations []instructions.Stage) env {
	stage := r.opts.Target
	if stage == "" {
		stage = declarations[len(declarations)-1].Name
	}
	if stage == "" {
		stage = "default"
	}
	b, t := r.buildPlatform, r.targetPlatform
	var args env
	for _, v := range []variable{
		{"BUILDPLATFORM", platforms.Format(b)},
		{"BUILDOS", b.OS},
		{"BUILDOSVERSION", b.OSVersion},
		{"BUILDARCH", b.Architecture},
		{"BUILDVARIANT", b.Variant},
		{"TARGETPLATFORM", platforms.FormatAll(t)},
		{"TARGETOS", t.OS},
		{"TARGETOSVERSION", t.OSVersion},
		{"TARGETARCH", t.Architecture},
		{"TARGETVARIANT", t.Variant},
		{"TARGETSTAGE", stage},
	} {
		if given, ok := r.buildArgs[v.key]; ok {
			v.value = given
		}
		args = append(args, v)
	}
	return args
}

// expandGlobals returns args with the values of the ARGs before the first FROM:
// given ones, or else their defaults, which see the ARGs above them.
func (r *resolver) expandGlobals(args env, commands []instructions.ArgCommand, given map[string]string) (env, error) {
	for _, cmd := range commands {
		for _, arg := range cmd.Args {
			if value, ok := given[arg.Key]; ok {
				args = args.with(arg.Key, value)
				continue
			}
			if arg.Value == nil {
				continue
			}
			value, _, err := r.lex.ProcessWord(*arg.Value, args)
			if err != nil {
				return nil, r.file.wrap(cmd.Location(), err)
			}
			args = args.with(arg.Key, value)
		}
	}
	return args, nil
}

// proxies returns the variables of the proxies given as build arguments, which
// reach every RUN without being declared, in upper and in lower case.
func (r *resolver) proxies() env {
	values := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(r.buildArgs)) { // lower case comes last, and wins
		if name := strings.ToLower(key); slices.Contains(proxyNames, name) {
			values[name] = r.buildArgs[key]
		}
	}
	var proxies env
	for _, name := range proxyNames {
		if value := values[name]; value != "" {
			proxies = append(proxies, variable{strings.ToUpper(name), value}, variable{name, value})
		}
	}
	return proxies
}

// proxyNames are the "Predefined ARGs" of the reference.
var proxyNames = []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
