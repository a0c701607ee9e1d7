package dockerfile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/util/suggest"
)

// suggestion is what BuildKit puts behind messages. Of several equally good
// ones it names any; kiln makes its own, always the same.
var suggestion = regexp.MustCompile(` \(did you mean [^()]*\?\)`)

func withoutSuggestion(text string) string { return suggestion.ReplaceAllString(text, "") }

// nearest returns the option that is meant by a misspelt word, "" if none is
// near.
func nearest(word string, options []string) string {
	options = slices.Clone(options)
	slices.Sort(options)
	for _, o := range options {
		if strings.EqualFold(o, word) {
			return o
		}
	}
	match, _ := suggest.Search(word, options, false)
	for _, o := range options {
		if strings.EqualFold(o, match) {
			return o
		}
	}
	return ""
}

// flags lists the flags of the instructions that have some.
var flags = map[string][]string{
	command.Add:         {"checksum", "chmod", "chown", "exclude", "keep-git-dir", "link", "unpack"},
	command.Copy:        {"chmod", "chown", "exclude", "from", "link", "parents"},
	command.From:        {"platform"},
	command.Healthcheck: {"interval", "retries", "start-interval", "start-period", "timeout"},
	command.Run:         {"device", "mount", "network", "security"},
}

// mountKeys lists the keys of RUN --mount.
var mountKeys = []string{
	"destination", "dst", "env", "from", "gid", "id", "mode", "readonly", "readwrite", "required", "ro", "rw",
	"sharing", "size", "source", "src", "target", "type", "uid",
}

// messages of BuildKit that say which word is wrong.
var (
	unknownFlag     = regexp.MustCompile(`^unknown flag: --(.*)$`)
	unknownMountKey = regexp.MustCompile(`^unexpected key '([^']*)' in '`)
	unknownMount    = regexp.MustCompile(`^unsupported mount type "(.*)"$`)
	unknownSharing  = regexp.MustCompile(`^unsupported sharing value "(.*)"$`)
)

// instructionError turns what BuildKit says of an instruction into an error
// that says what to do.
func (f *File) instructionError(node *parser.Node, err error) *Error {
	return f.fail(node.Location(), "%s", message(err)).hint("%s", f.advise(node, message(err)))
}

// advise returns what to do about a message of BuildKit, "" if nothing is known.
func (f *File) advise(node *parser.Node, problem string) string {
	name := strings.ToLower(node.Value)
	switch {
	case isUnknown(name):
		return adviseInstruction(node.Value)
	case unknownFlag.MatchString(problem):
		return adviseFlag(name, unknownFlag.FindStringSubmatch(problem)[1])
	case strings.HasSuffix(problem, "requires the arguments to be in JSON form") && strings.Contains(node.Original, "['"):
		return "JSON takes double quotes, not single ones"
	case strings.HasSuffix(problem, "requires the arguments to be in JSON form"):
		return `write it as ["program", "argument"]`
	case strings.HasPrefix(problem, "FROM requires either one or three arguments"):
		return "write FROM image, or FROM image AS name"
	case strings.HasPrefix(problem, "invalid name for build stage"):
		return "a stage's name starts with a letter and has only letters, digits, and the characters - _ ."
	}
	return adviseMount(problem)
}

func isUnknown(name string) bool {
	_, known := command.Commands[name]
	return !known
}

func adviseInstruction(word string) string {
	var names []string
	for name := range command.Commands {
		names = append(names, strings.ToUpper(name))
	}
	if match := nearest(word, names); match != "" {
		return "did you mean " + match + "?"
	}
	return "an instruction that goes on in the next line ends in \\"
}

func adviseFlag(instruction, flag string) string {
	known := flags[instruction]
	if match := nearest(flag, known); match != "" {
		return "did you mean --" + match + "?"
	}
	if len(known) == 0 {
		return strings.ToUpper(instruction) + " has no flags"
	}
	return strings.ToUpper(instruction) + " has the flags --" + strings.Join(known, ", --")
}

// adviseMount returns what to do about a message on a RUN --mount.
func adviseMount(problem string) string {
	for _, c := range []struct {
		message *regexp.Regexp
		options []string
		what    string
	}{
		{unknownMountKey, mountKeys, "the keys are"},
		{unknownMount, []string{"bind", "cache", "secret", "ssh", "tmpfs"}, "the types are"},
		{unknownSharing, []string{"locked", "private", "shared"}, "it is one of"},
	} {
		if found := c.message.FindStringSubmatch(problem); found != nil {
			if match := nearest(found[1], c.options); match != "" {
				return "did you mean " + match + "?"
			}
			return c.what + " " + strings.Join(c.options, ", ")
		}
	}
	return ""
}
