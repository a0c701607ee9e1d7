package dockerfile

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// suggestion is what BuildKit puts behind messages. Of several equally good
// ones it names any; kiln makes its own, always the same.
var suggestion = regexp.MustCompile(` \(did you mean [^()]*\?\)`)

func withoutSuggestion(text string) string { return suggestion.ReplaceAllString(text, "") }

// nearest returns the option that is meant by a misspelt word, "" if none is
// near: at most two letters off, and of a short word one.
func nearest(word string, options []string) string {
	best, bestDistance := "", min(2, max(1, len(word)/2))+1
	options = slices.Clone(options)
	slices.SortFunc(options, func(a, b string) int {
		// Of two that are equally near, the one with the same beginning is meant.
		return cmp.Or(-cmp.Compare(common(word, a), common(word, b)), cmp.Compare(a, b))
	})
	for _, o := range options {
		d := distance(strings.ToLower(word), strings.ToLower(o))
		if d < bestDistance && d < len(word) {
			best, bestDistance = o, d
		}
	}
	return best
}

// common counts the letters that two words begin with.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && strings.EqualFold(a[n:n+1], b[n:n+1]) {
		n++
	}
	return n
}

// distance counts the letters that have to be added, left out, exchanged or
// swapped with their neighbour to make a into b.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			other := 1
			if a[i-1] == b[j-1] {
				other = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+other)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
