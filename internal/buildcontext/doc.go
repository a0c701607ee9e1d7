// Package buildcontext shows where a build's files come from: a source tree as
// a [tree.View], with the patterns of .dockerignore applied. It only reads,
// never outside the directory it was given, and leaves no trace: access times
// stay as they are.
//
// It also finds the Dockerfile, which may lie outside the source tree, and the
// ignore file that goes with it.
package buildcontext
