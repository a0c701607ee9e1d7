// Package plan holds what a build is going to do, as a value: stages of steps,
// each step with everything it needs already expanded and resolved, the image
// config after it, and its cache key. The plan is printed, tested and executed;
// nothing derives any of it a second time.
package plan
