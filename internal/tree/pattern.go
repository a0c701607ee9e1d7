package tree

import (
	"path"
	"strings"
)

// MayMatchBelow reports whether pattern, one of an ignore file, could match
// something below the directory dir, so that walking into it is worth while. It
// may say yes where nothing does; pattern must not start with "!".
func MayMatchBelow(pattern, dir string) bool {
	segments := strings.Split(pattern, "/")
	depth := 0
	for name := range strings.SplitSeq(dir, "/") {
		if depth == len(segments) {
			return false
		}
		segment := segments[depth]
		// "**" matches any number of segments; what a class or an escape means
		// differs between here and the matcher.
		if strings.Contains(segment, "**") || strings.ContainsAny(segment, `[\`) {
			return true
		}
		if ok, err := path.Match(segment, name); err == nil && !ok {
			return false
		}
		depth++
	}
	return len(segments) > depth
}
