package cli

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"

	"github.com/kiln-build/kiln/internal/build"
	"github.com/kiln-build/kiln/internal/registry"
)

// options turns flags into what the build is told. It finds what is wrong with
// them, each by itself and together, before anything is done.
func (f *buildFlags) options(p Process, dir string) (build.Options, error) {
	opts := build.Options{
		Context: dir, Dockerfile: f.file, Stdin: p.Stdin, Stdout: p.Stdout,
		Target: f.target, Platform: f.platform,
		Tags: f.tags, Push: f.push,
		Format: f.format, Compression: f.compression, CompressionLevel: f.level,
		Keep:   []string{f.iidFile, f.metadataFile},
		DryRun: f.dryRun, NoCache: f.noCache, Engine: f.engine, Container: p.Container,
		InsecureRegistries: f.insecure,
		CredentialFiles:    registry.CredentialFiles(p.getenv),
	}
	for _, set := range []func(Process, *build.Options) error{
		f.checkShown, f.setSource, f.setArguments, f.setGiven, f.setDescriptions, f.setDestinations, f.setMachinery,
	} {
		if err := set(p, &opts); err != nil {
			return build.Options{}, err
		}
	}
	return opts, nil
}

// setSource checks where Dockerfile and files come from.
func (f *buildFlags) setSource(_ Process, opts *build.Options) error {
	dir := opts.Context
	const local = "kiln reads a local directory; fetch or unpack it first, then: kiln build DIRECTORY"
	switch {
	case dir == "":
		return misuse("the current directory is .", "the directory's name is empty")
	case dir == "-":
		return misuse(local+". A Dockerfile alone is read from stdin with: kiln build -f - DIRECTORY", "a context from stdin is not supported yet")
	case isRemote(dir):
		return misuse(local, "a context from %s is not supported yet", dir)
	}
	if info, err := os.Stat(dir); err != nil {
		return misuse("", "cannot read the directory: %v", err)
	} else if !info.IsDir() {
		return misuse("name a Dockerfile with -f, and the directory that COPY reads at the end", "%s is not a directory", dir)
	}
	if f.file == "-" {
		return nil
	}
	path := dockerfilePath(opts)
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && f.file == "":
		return misuse("name another file with -f", "there is no Dockerfile in %s", dir)
	case err != nil:
		return misuse("the path of -f is relative to the current directory", "cannot read the Dockerfile: %v", err)
	case info.IsDir():
		return misuse("name a file with -f", "the Dockerfile %s is a directory", path)
	}
	return nil
}

// isRemote reports whether a context is something docker would fetch.
func isRemote(dir string) bool {
	if u, err := url.Parse(dir); err == nil && u.Scheme != "" && u.Host != "" {
		return true
	}
	return strings.HasPrefix(dir, "git@") || strings.HasPrefix(dir, "github.com/")
}

// dockerfilePath is where the Dockerfile is that is not on stdin.
func dockerfilePath(opts *build.Options) string {
	if opts.Dockerfile != "" {
		return opts.Dockerfile
	}
	return filepath.Join(opts.Context, "Dockerfile")
}

// setArguments fills in the build arguments: those without a value are taken
// from the environment, and left out if they are not there.
func (f *buildFlags) setArguments(p Process, opts *build.Options) error {
	opts.BuildArgs = make(map[string]string)
	for _, arg := range f.buildArgs {
		key, value, has := strings.Cut(arg, "=")
		if key == "" {
			return misuse("write --build-arg NAME=value, or --build-arg NAME", "--build-arg %q has no name", arg)
		}
		if !has {
			if value, has = p.lookup(key); !has {
				delete(opts.BuildArgs, key)
				continue
			}
		}
		opts.BuildArgs[key] = value
	}
	return f.checkPlatform()
}

func (f *buildFlags) checkPlatform() error {
	if f.platform == "" {
		return nil
	}
	if strings.Contains(f.platform, ",") {
		return misuse("run kiln once for each platform", "--platform takes one platform, not %q", f.platform)
	}
	if _, err := platforms.Parse(f.platform); err != nil {
		return misuse("write it as os/architecture[/variant]: linux/amd64, linux/arm/v7", "--platform %q is not known", f.platform)
	}
	return nil
}

// setDescriptions checks names, labels and annotations.
func (f *buildFlags) setDescriptions(_ Process, opts *build.Options) error {
	for _, tag := range f.tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	opts.Labels = make(map[string]string)
	for _, label := range f.labels {
		key, value, _ := strings.Cut(label, "=") // docker: no "=" is an empty value
		if key == "" {
			return misuse("write --label key=value", "--label %q has no key", label)
		}
		opts.Labels[key] = value
	}
	opts.Annotations = make(map[string]string)
	for _, annotation := range f.annotations {
		key, value, has := strings.Cut(annotation, "=")
		if level, rest, prefixed := strings.Cut(key, ":"); prefixed && isAnnotationLevel(level) {
			if level != "manifest" {
				return misuse("leave the prefix out: kiln annotates the manifest", "--annotation %q: annotations of an %s are not supported", annotation, level)
			}
			key = rest
		}
		if key == "" || !has {
			return misuse("write --annotation key=value", "--annotation %q is not key=value", annotation)
		}
		opts.Annotations[key] = value
	}
	return nil
}

// isAnnotationLevel reports whether s is what buildx takes before the ":" of an
// annotation's key, without a platform.
func isAnnotationLevel(s string) bool {
	level, _, _ := strings.Cut(s, "[")
	return slices.Contains([]string{"manifest", "index", "manifest-descriptor", "index-descriptor"}, level)
}

func checkTag(tag string) error {
	named, err := reference.ParseNormalizedNamed(tag)
	if err != nil {
		hint := "a tag is [host[:port]/]name[:tag], in lower case but for the part after the last colon"
		return misuse(hint, "--tag %q: %v", tag, err)
	}
	if _, has := named.(reference.Digested); has {
		return misuse("leave out what starts at @", "--tag %q: the digest is what the build finds out", tag)
	}
	return nil
}

// setMachinery checks how things are done: compression, engine, folder.
func (f *buildFlags) setMachinery(p Process, opts *build.Options) error {
	if err := checkChoice("format", f.format); err != nil {
		return err
	}
	if err := checkChoice("compression", f.compression); err != nil {
		return err
	}
	if err := checkChoice("engine", f.engine); err != nil {
		return err
	}
	most := map[string]int{"": 9, "gzip": 9, "zstd": 22, "none": 0}[f.compression]
	if f.level < 0 || f.level > most {
		if most == 0 {
			return misuse("leave it out", "--compression-level means nothing with --compression none")
		}
		return misuse("", "--compression-level %d is not in 1-%d", f.level, most)
	}
	for _, host := range f.insecure {
		if host == "" || strings.Contains(host, "/") {
			return misuse("write --insecure-registry localhost:5000", "--insecure-registry %q is not a host", host)
		}
	}
	root, err := rootDir(p, f.root)
	if err != nil {
		return err
	}
	opts.Root = root
	return nil
}

// rootDir returns kiln's folder: that of --root, or the default.
func rootDir(p Process, given string) (string, error) {
	if given == "" {
		var err error
		if given, err = defaultRoot(p); err != nil {
			return "", err
		}
	}
	root, err := filepath.Abs(given)
	if err != nil {
		return "", misuse("", "--root %s: %v", given, err)
	}
	return root, nil
}

// defaultRoot is kiln's folder by the XDG Base Directory Specification, or
// where the Filesystem Hierarchy Standard puts it for root.
func defaultRoot(p Process) (string, error) {
	if p.UID == 0 {
		return "/var/lib/kiln", nil
	}
	if data := p.getenv("XDG_DATA_HOME"); filepath.IsAbs(data) { // the specification ignores relative ones
		return filepath.Join(data, "kiln"), nil
	}
	if home := p.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/share/kiln"), nil
	}
	return "", misuse("name a folder with --root", "neither XDG_DATA_HOME nor HOME says where kiln's folder is")
}
