// Package engines knows all engines and chooses one: the first, from the best
// down, that is seen to work here. What was tried and how it went is returned
// as a [Report], so that the choice can be explained.
package engines
