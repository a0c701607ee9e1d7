// Package dir is the storage that keeps a root filesystem in one directory: its
// layers are unpacked into it one after the other, and what a RUN changed is
// found by looking at all of it before and after. It needs nothing of the file
// system that holds it.
//
// A delta reads from the directory that the next RUN will change, so that has
// to wait until the delta is written.
//
// One thing is unlike overlayfs: writing to one name of a file with several
// changes all of them, where overlayfs takes the written one apart.
package dir
