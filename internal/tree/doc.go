// Package tree shows a list of layers as one read-only file system, from the
// layers' indexes alone: nothing is unpacked to look at it. Symbolic links are
// resolved inside the root and never out of it.
//
// [View] is the reading side that a tree shares with a build's source tree, so
// that COPY does not know where its files come from.
package tree
