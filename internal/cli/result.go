package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kiln-build/kiln/internal/build"
)

// printResult prints the digest on stdout, unless the image itself is there, and
// on stderr what was done with the image.
func (f *buildFlags) printResult(p Process, opts build.Options, r build.Result) error {
	if kind := f.kind(p); kind == "plain" || kind == "tty" {
		printSummary(p.Stderr, opts, r)
	}
	if writesStdout(opts.Outputs) {
		return nil
	}
	if _, err := fmt.Fprintln(p.Stdout, r.Digest); err != nil {
		return fmt.Errorf("print digest: %w", err)
	}
	return nil
}

func printSummary(w io.Writer, opts build.Options, r build.Result) {
	for _, ref := range r.Refs {
		fmt.Fprintf(w, "pushed %s\n", ref)
	}
	for _, o := range opts.Outputs {
		if o.Dest != stdout {
			fmt.Fprintf(w, "wrote %s (%s)\n", o.Dest, o.Type)
		}
	}
	if !opts.Push && len(opts.Outputs) == 0 {
		fmt.Fprintln(w, "The image was built and not kept. To keep it, add --push -t NAME, or -o type=oci,dest=image.tar.")
	}
}

// metadata is what --metadata-file holds; the names are those of docker buildx.
type metadata struct {
	ConfigDigest string     `json:"containerimage.config.digest"`
	Descriptor   descriptor `json:"containerimage.descriptor"`
	Digest       string     `json:"containerimage.digest"`
	Name         string     `json:"image.name,omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// writeResultFiles writes the files of --iidfile and --metadata-file.
func (f *buildFlags) writeResultFiles(opts build.Options, r build.Result) error {
	if f.iidFile != "" {
		// What docker calls the image ID is the config's digest; it is written
		// without a newline, as scripts use it as it is.
		if err := writeFile(f.iidFile, []byte(r.ConfigDigest)); err != nil {
			return fmt.Errorf("write --iidfile: %w", err)
		}
	}
	if f.metadataFile == "" {
		return nil
	}
	content, err := json.MarshalIndent(metadata{
		ConfigDigest: r.ConfigDigest,
		Descriptor:   descriptor{MediaType: r.MediaType, Digest: r.Digest, Size: r.Size},
		Digest:       r.Digest,
		Name:         strings.Join(opts.Tags, ","),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode --metadata-file: %w", err)
	}
	if err := writeFile(f.metadataFile, append(content, '\n')); err != nil {
		return fmt.Errorf("write --metadata-file: %w", err)
	}
	return nil
}

// writeFile writes a file that appears whole or not at all. What is there and no
// regular file, such as a pipe, is written to as it is.
func writeFile(path string, content []byte) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, content, 0o644)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(content); err == nil {
		err = tmp.Chmod(0o644)
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
