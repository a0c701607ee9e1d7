package dockerfile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

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

// Values of keys of RUN --mount.
var (
	mountTypes   = []string{"bind", "cache", "secret", "ssh", "tmpfs"}
	sharingModes = []string{"locked", "private", "shared"}
)

// advice is what to do about a message of BuildKit. In do, $1 is the word that
// the message names; with options, the one that it is near to is proposed first.
type advice struct {
	message *regexp.Regexp
	options []string
	do      string
}

// advices are in the order in which they are tried.
var advices = []advice{
	{regexp.MustCompile(`^FROM requires either one or three arguments`), nil, "write FROM image, or FROM image AS name"},
	{regexp.MustCompile(`^invalid name for build stage`), nil, "a stage's name starts with a letter and has only letters, digits, and the characters - _ ."},
	{regexp.MustCompile(`^ENV (must have two arguments|requires at least one argument)`), nil, "write ENV NAME=value"},
	{regexp.MustCompile(`^LABEL (must have two arguments|requires at least one argument)`), nil, "write LABEL name=value"},
	{regexp.MustCompile(`^(COPY|ADD) requires at least two arguments`), nil, "write $1 source... destination"},
	{regexp.MustCompile(`^Unknown type "(.*)" in HEALTHCHECK`), nil, "write HEALTHCHECK CMD command, or HEALTHCHECK NONE"},
	{regexp.MustCompile(`^invalid network mode "(.*)"$`), []string{"default", "host", "none"}, "it is default, host or none"},
	{regexp.MustCompile(`^security "(.*)" is not valid$`), []string{"insecure", "sandbox"}, "it is sandbox or insecure"},
	{regexp.MustCompile(`^unexpected key '([^']*)' in '`), mountKeys, "the keys are " + strings.Join(mountKeys, ", ")},
	{regexp.MustCompile(`^unsupported mount type "(.*)"$`), mountTypes, "the types are " + strings.Join(mountTypes, ", ")},
	{regexp.MustCompile(`^unsupported sharing value "(.*)"$`), sharingModes, "it is one of " + strings.Join(sharingModes, ", ")},
	{regexp.MustCompile(`^'from' doesn't support variable expansion`), nil, "give what it stands for a name with a stage of its own: FROM ... AS name"},
	{regexp.MustCompile(`^invalid secret mount. one of source, target required$`), nil, "name the secret with id=NAME"},
}

// unknownFlag is BuildKit's message about a flag.
var unknownFlag = regexp.MustCompile(`^unknown flag: --(.*)$`)

// instructionError turns what BuildKit says of an instruction into an error
// that says what to do.
func (f *File) instructionError(node *parser.Node, err error) *Error {
	problem, name := message(err), strings.ToLower(node.Value)
	e := f.fail(node.Location(), "%s", problem)
	switch {
	case !isInstruction(name):
		e.Advice = adviseInstruction(node.Value)
	case unknownFlag.MatchString(problem):
		e.Advice = adviseFlag(name, unknownFlag.FindStringSubmatch(problem)[1])
	case strings.HasSuffix(problem, "requires the arguments to be in JSON form"):
		e.Advice = `write it as ["program", "argument"]`
		if singleQuoted.MatchString(strings.TrimPrefix(node.Original, node.Value)) {
			e.Advice = "JSON takes double quotes, not single ones"
		}
	default:
		e.Advice = advise(problem)
	}
	return e
}

// advise returns what to do about a message of BuildKit, "" if nothing is known.
func advise(problem string) string {
	for _, a := range advices {
		found := a.message.FindStringSubmatch(problem)
		if found == nil {
			continue
		}
		if len(found) < 2 {
			return a.do
		}
		if match := nearest(found[1], a.options); match != "" {
			return "did you mean " + match + "?"
		}
		return strings.ReplaceAll(a.do, "$1", found[1])
	}
	return ""
}

func isInstruction(name string) bool {
	_, known := command.Commands[name]
	return known
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
	name := strings.ToUpper(instruction)
	has := name + " has no flags"
	if len(known) > 0 {
		has = name + " has the flags --" + strings.Join(known, ", --")
	}
	for _, other := range slices.Sorted(maps.Keys(flags)) {
		if slices.Contains(flags[other], flag) {
			return strings.ToUpper(other) + " has --" + flag + "; " + has
		}
	}
	return has
}
