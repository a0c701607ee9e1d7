// Package cli is the command line: it reads flags and environment into
// [build.Options], and turns results and errors into words and exit statuses.
// It is the only room that knows of either; what a build needs of them travels
// as values.
//
// One binary holds several programs; which one it is, its name decides, see
// [Main].
package cli
