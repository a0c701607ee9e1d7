package conformance_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// goArch is the architecture that images are made for.
const goArch = runtime.GOARCH

// A recorder writes an image down as text that people can read and write. What
// comes from the base image is left out.
type recorder struct {
	testCase *testCase
	names    *strings.Replacer // of servers, real to invented
	buf      bytes.Buffer
}

// record writes an image down. base is what it is built from, as a number of
// layers and of history entries.
func record(c *testCase, img *image, names *strings.Replacer, base baseSize) (string, error) {
	r := &recorder{testCase: c, names: names}
	r.config(img)
	r.history(img, base.history)
	if err := r.trees(img, base.layers); err != nil {
		return "", err
	}
	return r.buf.String(), nil
}

// baseSize says how much of an image is its base.
type baseSize struct{ layers, history int }

func (r *recorder) line(format string, args ...any) {
	r.buf.WriteString(r.names.Replace(fmt.Sprintf(format, args...)))
	r.buf.WriteByte('\n')
}

// config writes the fields of the config that are set, and the annotations of
// the manifest.
func (r *recorder) config(img *image) {
	c := img.config.Config
	r.line("config")
	if p := img.config; p.OS != "linux" || p.Architecture != goArch || p.Variant != "" {
		r.line("\tPlatform %s", strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/"))
	}
	if img.config.Author != "" {
		r.line("\tAuthor %s", quote(img.config.Author))
	}
	for _, env := range c.Env {
		r.line("\tEnv %s", quote(env))
	}
	r.list("Entrypoint", c.Entrypoint)
	r.list("Cmd", c.Cmd)
	r.list("Shell", c.Shell)
	r.text("User", c.User)
	r.text("WorkingDir", c.WorkingDir)
	r.text("StopSignal", c.StopSignal)
	r.keys("ExposedPort", c.ExposedPorts)
	r.keys("Volume", c.Volumes)
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		r.line("\tLabel %s", quote(key+"="+c.Labels[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(img.annotations)) {
		r.line("\tAnnotation %s", quote(key+"="+img.annotations[key]))
	}
	if len(c.Healthcheck) > 0 && string(c.Healthcheck) != "null" {
		r.line("\tHealthcheck %s", canonicalJSON(c.Healthcheck))
	}
	for _, trigger := range c.OnBuild {
		r.line("\tOnBuild %s", quote(trigger))
	}
}

func (r *recorder) text(name, value string) {
	if value != "" {
		r.line("\t%s %s", name, quote(value))
	}
}

func (r *recorder) list(name string, values []string) {
	if len(values) > 0 {
		r.line("\t%s %s", name, marshal(values))
	}
}

func (r *recorder) keys(name string, set map[string]struct{}) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		r.line("\t%s %s", name, quote(key))
	}
}

// history writes what the build added to it.
func (r *recorder) history(img *image, base int) {
	r.line("history")
	for _, h := range img.config.History[min(base, len(img.config.History)):] {
		kind := "layer"
		if h.EmptyLayer {
			kind = "empty"
		}
		r.line("\t%s %s", kind, quote(h.CreatedBy))
	}
}

// trees writes what the build changed in the base's files: in sum, or layer by
// layer.
func (r *recorder) trees(img *image, base int) error {
	before, err := img.flatten(min(base, len(img.layers)))
	if err != nil {
		return err
	}
	if !r.testCase.has("layers") {
		after, err := img.flatten(len(img.layers))
		if err != nil {
			return err
		}
		r.line("tree")
		r.changes(before, after)
		return nil
	}
	for n := base; n < len(img.layers); n++ {
		after, err := img.flatten(n + 1)
		if err != nil {
			return err
		}
		r.line("layer %d", n-base+1)
		r.changes(before, after)
		before = after
	}
	return nil
}

// changes writes how two trees differ. A removed directory stands for all that
// was below it.
func (r *recorder) changes(before, after tree) {
	old, now := r.lines(before), r.lines(after)
	for _, name := range before.names() {
		if _, stays := now[name]; stays {
			continue
		}
		if dir := parent(name); now[dir] != "" && after[dir].kind == tar.TypeDir || dir == "." {
			r.line("\tgone %s", quote(name))
		}
	}
	for _, name := range after.names() {
		if old[name] != now[name] {
			r.line("\t%s", now[name])
		}
	}
}

func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// lines writes down each file of a tree.
func (r *recorder) lines(t tree) map[string]string {
	lines := make(map[string]string, len(t))
	first := make(map[*node]string)
	for _, name := range t.names() {
		n := t[name]
		if other, linked := first[n]; linked {
			lines[name] = fmt.Sprintf("h %s = %s", quote(name), quote(other))
			continue
		}
		first[n] = name
		lines[name] = r.describe(name, n)
	}
	return lines
}

// kinds are the letters of file types.
var kinds = map[byte]string{
	tar.TypeReg: "f", tar.TypeDir: "d", tar.TypeSymlink: "l", tar.TypeFifo: "p", tar.TypeChar: "c", tar.TypeBlock: "b",
}

// describe writes down one file.
func (r *recorder) describe(name string, n *node) string {
	line := fmt.Sprintf("%s %04o %d:%d %s %s", kinds[n.kind], n.mode, n.uid, n.gid, r.when(n), quote(name))
	switch n.kind {
	case tar.TypeReg:
		line += " " + describeContent(n.content)
	case tar.TypeSymlink:
		line += " -> " + quote(n.link)
	case tar.TypeChar, tar.TypeBlock:
		line += fmt.Sprintf(" %d:%d", n.major, n.minor)
	}
	for _, key := range slices.Sorted(maps.Keys(n.xattrs)) {
		line += fmt.Sprintf(" %s=%s", key, strconv.Quote(n.xattrs[key]))
	}
	return line
}

// when names a time: of the context, of a base or an archive, or of the build.
// Directories change whenever something in them does, which builders do not
// agree on: their times are compared where a case asks for it.
func (r *recorder) when(n *node) string {
	at := n.mtime
	switch {
	case n.kind == tar.TypeDir && !r.testCase.has("dirtimes"):
		return "-"
	case at.Year() >= 2020:
		return "now"
	case at.Truncate(time.Second).Equal(contextTime):
		return "context"
	case at.Truncate(time.Second).Equal(entryTime):
		return "entry"
	default:
		return at.UTC().Format(time.RFC3339)
	}
}

// describeContent is the content of a small file, and what identifies that of
// a larger one.
func describeContent(content []byte) string {
	const small = 400
	if len(content) <= small && utf8.Valid(content) {
		return strconv.Quote(string(content))
	}
	if busybox, err := os.ReadFile(busyboxPath); err == nil && bytes.Equal(busybox, content) {
		return "busybox"
	}
	return fmt.Sprintf("%d bytes, sha256:%x", len(content), sha256.Sum256(content))
}

var plain = regexp.MustCompile(`^[^"\s\\]([^\n\t\r\x00\\]*[^\n\t\r\x00\\ ])?$`)

// quote leaves plain text as it is.
func quote(s string) string {
	if plain.MatchString(s) && utf8.ValidString(s) {
		return s
	}
	return strconv.Quote(s)
}

// marshal encodes as JSON, "<" and "&" as they are.
func marshal(v any) string {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(buf.String())
}

// canonicalJSON is an object with its keys sorted.
func canonicalJSON(raw []byte) string {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return string(raw)
	}
	return marshal(v)
}
