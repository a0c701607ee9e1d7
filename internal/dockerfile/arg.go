package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// argument does ARG: its value is the one given, or else its default, or else
// that of the ARG of the same name before the first FROM.
func (w *walker) argument(cmd *instruction, c *instructions.ArgCommand) error {
	var history []string
	for _, a := range c.Args {
		w.lintSecret("ARG", a.Key, c)
		value, has, err := w.argValue(cmd, a)
		if err != nil {
			return w.file.wrap(c.Location(), err)
		}
		if has && !isForFrontend(a.Key) {
			w.env = w.env.with(a.Key, value)
		}
		w.args = w.args.put(a.Key, value)
		line := a.Key
		if has {
			line += "=" + value
		}
		history = append(history, line)
	}
	return w.set(cmd, "ARG "+strings.Join(history, " "), func(*image) {})
}

// argValue returns the value of an ARG, if it has one.
func (w *walker) argValue(cmd *instruction, a instructions.KeyValuePairOptional) (value string, has bool, err error) {
	if value, given := w.buildArgs[a.Key]; given {
		return value, true, nil
	}
	if a.Value == nil {
		value, has = w.globals.Get(a.Key)
		return value, has, nil
	}
	value, unmatched, err := w.lex.ProcessWord(*a.Value, w.env)
	w.lintUndefined(cmd, unmatched)
	return value, true, err
}

// isForFrontend reports whether an ARG tells BuildKit's frontend something, and
// is no variable.
func isForFrontend(key string) bool {
	return key == "BUILDKIT_SBOM_SCAN_CONTEXT" || key == "BUILDKIT_SBOM_SCAN_STAGE"
}
