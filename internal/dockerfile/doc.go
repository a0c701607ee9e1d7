// Package dockerfile turns the text of a Dockerfile into a plan. [Parse] reads
// the text; [Resolve] expands it for given arguments, a platform and base
// images, into stages of steps that need nothing of the Dockerfile any more.
//
// Grammar, word expansion and the rules of the checks are BuildKit's own
// packages. What the instructions mean follows BuildKit's
// frontend/dockerfile/dockerfile2llb, function by function where that helps a
// reader who holds the two side by side; where this package differs it says so
// and why.
package dockerfile
