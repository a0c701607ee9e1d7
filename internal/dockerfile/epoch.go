package dockerfile

import (
	"slices"
	"strconv"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// epochArg is the argument that fixes times
// (https://reproducible-builds.org/specs/source-date-epoch/).
const epochArg = "SOURCE_DATE_EPOCH"

// setEpoch reads SOURCE_DATE_EPOCH, given as a build argument or declared with a
// value before the first FROM. Empty is as if it were not there.
func (r *resolver) setEpoch(commands []instructions.ArgCommand) error {
	value, given := r.buildArgs[epochArg]
	if !given {
		value, _ = r.globals.Get(epochArg)
	}
	if value == "" || value == "context" {
		// The time of a source tree that is a directory is not known; BuildKit
		// goes on as if the argument were not there, too.
		delete(r.buildArgs, epochArg)
		r.globals = r.globals.without(epochArg)
		return nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		var at []parser.Range // nowhere, for a build argument
		for _, cmd := range commands {
			if !given && slices.ContainsFunc(cmd.Args, func(a instructions.KeyValuePairOptional) bool { return a.Key == epochArg }) {
				at = cmd.Location()
			}
		}
		return r.file.fail(at, "SOURCE_DATE_EPOCH=%s is not a number of seconds since 1970", value).
			hint("kiln does not read the time of a stage or a context")
	}
	t := time.Unix(seconds, 0).UTC()
	r.epoch = &t
	return nil
}
