// Package gitrepo shows a commit of a remote git repository as a [tree.View],
// without a checkout: names come from the commit's trees, contents from its
// blobs. It speaks git's protocols itself; no git has to be installed.
package gitrepo
