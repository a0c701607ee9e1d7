package cli

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kiln-build/kiln/internal/build"
)

// stdout is the destination that means the standard output.
const stdout = "-"

// parseOutput reads one --output in the notation of docker buildx: comma
// separated fields, "dir" for type=local,dest=dir, "-" for type=tar,dest=-.
func parseOutput(s string) (build.Output, error) {
	if s == stdout {
		return build.Output{Type: "tar", Dest: stdout}, nil
	}
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return build.Output{}, misuse("write -o type=oci,dest=image.tar", "--output %q: %v", s, err)
	}
	if len(fields) == 1 && !strings.Contains(fields[0], "=") {
		return build.Output{Type: "local", Dest: fields[0]}, nil
	}
	var o build.Output
	for _, field := range fields {
		key, value, has := strings.Cut(field, "=")
		if !has {
			return o, misuse("write -o type=oci,dest=image.tar", "--output %q: %q is not key=value", s, field)
		}
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "type":
			o.Type = value
		case "dest":
			o.Dest = value
		default:
			return o, misuse(hintForOutputKey(key), "--output %q: %s is not known", s, key)
		}
	}
	return o, checkOutput(s, o)
}

func hintForOutputKey(key string) string {
	switch key {
	case "name":
		return "name the image with -t"
	case "push":
		return "push with --push -t NAME"
	case "compression", "compression-level":
		return "use --" + key
	case "oci-mediatypes":
		return "use --format oci or --format docker"
	case "tar":
		return "type=oci-layout writes a directory, type=oci an archive"
	}
	if strings.HasPrefix(key, "annotation") {
		return "use --annotation"
	}
	return "an output has type and dest"
}

// checkOutput checks one output by itself.
func checkOutput(s string, o build.Output) error {
	switch o.Type {
	case "oci", "docker", "tar", "local", "oci-layout":
	case "image", "registry":
		return misuse("push with --push -t NAME", "--output %q: type %s is not known", s, o.Type)
	case "":
		return misuse("write -o type=oci,dest=image.tar", "--output %q has no type", s)
	default:
		return misuse("it is one of oci, docker, oci-layout, local, tar", "--output %q: type %s is not known", s, o.Type)
	}
	if o.Dest != "" {
		return nil
	}
	hint := fmt.Sprintf("add a path: -o type=%s,dest=image.tar", o.Type)
	switch o.Type {
	case "docker":
		hint += ", then docker load -i image.tar"
	case "local", "oci-layout":
		hint = fmt.Sprintf("add a directory: -o type=%s,dest=./out", o.Type)
	}
	return misuse(hint, "--output %q has no dest", s)
}

// isDirectory reports whether an output of that type is a directory.
func isDirectory(outputType string) bool {
	return outputType == "local" || outputType == "oci-layout"
}

// setDestinations fills in the outputs and checks that all that is to be
// written has a place of its own.
func (f *buildFlags) setDestinations(p Process, opts *build.Options) error {
	if f.push && len(f.tags) == 0 {
		return misuse("name the image: -t registry.example.com/app:1", "--push has nowhere to push to")
	}
	taken := make(map[string]string) // cleaned path -> the flag that writes it
	for _, s := range f.outputs {
		o, err := parseOutput(s)
		if err != nil {
			return err
		}
		if err := f.checkDest(p, o, taken); err != nil {
			return err
		}
		opts.Outputs = append(opts.Outputs, o)
	}
	for flag, path := range map[string]string{"--iidfile": f.iidFile, "--metadata-file": f.metadataFile} {
		if path == "" {
			continue
		}
		if err := claim(taken, flag, path); err != nil {
			return err
		}
		if err := checkFilePlace(flag, path); err != nil {
			return err
		}
	}
	return nil
}

// checkDest checks that an output can be written where it is to go.
func (f *buildFlags) checkDest(p Process, o build.Output, taken map[string]string) error {
	flag := "--output type=" + o.Type
	if o.Dest != stdout {
		if err := claim(taken, flag, o.Dest); err != nil {
			return err
		}
		if isDirectory(o.Type) {
			return checkDirectoryPlace(flag, o.Dest)
		}
		return checkFilePlace(flag, o.Dest)
	}
	switch {
	case isDirectory(o.Type):
		return misuse("name a directory with dest=", "%s is a directory and cannot go to stdout", flag)
	case taken[stdout] != "":
		return misuse("give all but one a file", "two outputs cannot both go to stdout")
	case f.quiet:
		return misuse("write the digest to a file with --iidfile, or the output to one", "--quiet prints the digest where %s,dest=- prints the image", flag)
	case terminal(p.Stdout) != nil:
		return misuse("redirect it: kiln build ... > image.tar", "%s,dest=- would print an archive on a terminal", flag)
	}
	taken[stdout] = flag
	return nil
}

// claim says that flag writes path, unless another one does already.
func claim(taken map[string]string, flag, path string) error {
	path = filepath.Clean(path)
	if other, has := taken[path]; has {
		return misuse("", "%s and %s both write %s", other, flag, path)
	}
	taken[path] = flag
	return nil
}

func checkFilePlace(flag, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return misuse("name a file", "%s: %s is a directory", flag, path)
	}
	return checkParent(flag, path)
}

func checkDirectoryPlace(flag, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return checkParent(flag, path)
	case !info.IsDir():
		return misuse("name a directory", "%s: %s is a file", flag, path)
	}
	return nil
}

func checkParent(flag, path string) error {
	parent := filepath.Dir(path)
	info, err := os.Stat(parent)
	switch {
	case os.IsNotExist(err):
		return misuse("make it first: mkdir -p "+parent, "%s: there is no directory %s", flag, parent)
	case err != nil:
		return misuse("", "%s: %v", flag, err)
	case !info.IsDir():
		return misuse("", "%s: %s is not a directory", flag, parent)
	}
	return nil
}

// writesStdout reports whether an output goes to stdout.
func writesStdout(outputs []build.Output) bool {
	return slices.ContainsFunc(outputs, func(o build.Output) bool { return o.Dest == stdout })
}
