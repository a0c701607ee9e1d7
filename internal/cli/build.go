package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

const buildLong = `Build an image from a Dockerfile and the files of a directory.

The directory is what COPY and ADD read. Without --push or --output the build
runs and its digest is printed, but the image is not kept.`

const buildExamples = `  # Build the current directory and push the image.
  kiln build -t registry.example.com/app:1 --push .

  # Another Dockerfile, one of its stages, into an archive that docker loads.
  kiln build -f deploy/Dockerfile --target test -t app:test -o type=docker,dest=app.tar .

  # Only the files of the image.
  kiln build -o ./rootfs .`

// buildFlags holds the flags of kiln build as they were given.
type buildFlags struct {
	file, target, platform    string
	buildArgs                 []string
	secrets, ssh, contexts    []string
	tags, labels, annotations []string
	format, compression       string
	level                     int
	push                      bool
	outputs, insecure         []string
	iidFile, metadataFile     string
	noCache, dryRun           bool
	engine, root              string
	progress                  string
	quiet, verbose            bool
}

func newBuildCommand(p Process, b Builder) *cobra.Command {
	f := &buildFlags{}
	cmd := &cobra.Command{
		Use:                   "build [flags] DIRECTORY",
		Short:                 "Build an image from a Dockerfile",
		Long:                  buildLong,
		Example:               buildExamples,
		DisableFlagsInUseLine: true,
		Args:                  oneDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBuild(cmd.Context(), p, b, f, args[0])
		},
	}
	addGroups(cmd, f.groups())
	completeChoices(cmd)
	return cmd
}

func oneDirectory(_ *cobra.Command, args []string) error {
	const hint = `name the directory that COPY reads: kiln build .`
	switch {
	case len(args) == 0:
		return misuse(hint, "no directory given")
	case len(args) > 1:
		return misuse("flags take their value with = or as the next word; the rest is one directory",
			"more than one directory given: %q, %q", args[0], args[1])
	}
	return nil
}

// groups defines the flags, in the order and the groups of the help. The word in
// backquotes is how the help writes the flag's value.
func (f *buildFlags) groups() []flagGroup {
	what := newFlagGroup("What is built")
	what.flags.StringVarP(&f.file, "file", "f", "", "`path` Dockerfile, - for stdin (default Dockerfile in DIRECTORY)")
	what.flags.StringVar(&f.target, "target", "", "`stage` stage to build (default the last)")
	what.flags.StringArrayVar(&f.buildArgs, "build-arg", nil, "`name[=value]` value of an ARG; without =value, that of the environment *")
	what.flags.StringVar(&f.platform, "platform", "", "`os/arch` platform to build for (default this machine's)")

	given := newFlagGroup("What steps are given")
	given.flags.StringArrayVar(&f.secrets, "secret", nil, "`spec` secret for RUN --mount=type=secret: id=ID,src=FILE|,env=NAME *")
	given.flags.StringArrayVar(&f.ssh, "ssh", nil, "`id[=path]` ssh agent for RUN --mount=type=ssh: yours, a socket, or a key *")
	given.flags.StringArrayVar(&f.contexts, "build-context", nil, "`name=place` directory, or docker-image://NAME, to copy from or build on *")

	image := newFlagGroup("The image")
	image.flags.StringArrayVarP(&f.tags, "tag", "t", nil, "`name[:tag]` name of the image *")
	image.flags.StringArrayVar(&f.labels, "label", nil, "`key=value` label in the config *")
	image.flags.StringArrayVar(&f.annotations, "annotation", nil, "`key=value` annotation of the manifest *")
	image.flags.StringVar(&f.format, "format", "", "`name` media types: oci, docker (default oci)")
	image.flags.StringVar(&f.compression, "compression", "", "`name` compression of layers: gzip, zstd, none (default gzip)")
	image.flags.IntVar(&f.level, "compression-level", 0, "`n` 1 (fast) to 9 (small), for zstd to 22")

	where := newFlagGroup("Where it goes")
	where.flags.BoolVar(&f.push, "push", false, "push the image to each --tag")
	where.flags.StringArrayVarP(&f.outputs, "output", "o", nil, "`spec` type=TYPE,dest=PATH, where TYPE is"+
		"\n  oci, docker  an archive of the image"+
		"\n  oci-layout   a directory with the image"+
		"\n  local, tar   its files, in a directory or an archive"+
		"\nand dest=- is stdout; PATH alone is type=local,dest=PATH *")
	where.flags.StringVar(&f.iidFile, "iidfile", "", "`file` write the image's ID, the digest of its config, to file")
	where.flags.StringVar(&f.metadataFile, "metadata-file", "", "`file` write what was built, as JSON, to file")
	where.flags.StringArrayVar(&f.insecure, "insecure-registry", nil, "`host[:port]` registry to speak to without TLS, or without checking it *")

	how := newFlagGroup("How it is built")
	how.flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and what the cache has of it; run nothing")
	how.flags.BoolVar(&f.noCache, "no-cache", false, "do every step again")
	how.flags.StringVar(&f.engine, "engine", "", "`name` what RUN runs in: overlay, chroot, inplace\n(default the best that works here)")
	how.flags.StringVar(&f.root, "root", "", "`directory` kiln's own: layers, blobs, cache (default /var/lib/kiln for root,\nelse $XDG_DATA_HOME/kiln or ~/.local/share/kiln)")

	shown := newFlagGroup("What is shown")
	shown.flags.StringVar(&f.progress, "progress", "auto", "`kind` auto, tty, plain, json, quiet (default auto)")
	shown.flags.BoolVarP(&f.quiet, "quiet", "q", false, "print the image's digest and nothing else")
	shown.flags.BoolVarP(&f.verbose, "verbose", "v", false, "print what kiln does inside, too")
	return []flagGroup{what, given, image, where, how, shown}
}

// runBuild checks the flags, builds, and says what came of it.
func runBuild(ctx context.Context, p Process, b Builder, f *buildFlags, dir string) error {
	opts, err := f.options(p, dir)
	if err != nil {
		return err
	}
	whyNot, err := p.enter()
	if err != nil {
		return err
	}
	source, err := keepDockerfile(&opts)
	if err != nil {
		return err
	}
	mask, err := maskOf(opts.Secrets)
	if err != nil {
		return err
	}
	shown := f.display(ctx, p, mask)
	opts.Progress, opts.Log = shown.reporter, shown.log
	result, err := b(ctx, opts)
	shown.close()
	if err != nil {
		return &buildFailure{err: withoutRights(err, whyNot), source: source, mask: mask, json: shown.json}
	}
	if f.dryRun {
		return nil
	}
	if err := f.writeResultFiles(opts, result); err != nil {
		return fmt.Errorf("the image was built, but: %w", err)
	}
	return f.printResult(p, opts, result)
}
