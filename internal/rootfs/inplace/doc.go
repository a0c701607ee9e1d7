// Package inplace is the engine for containers in which nothing is allowed: no
// namespaces, no mounts. The container's own "/" is the root filesystem; the
// storage is that of package dir with this one place to work in, and what a RUN
// mounts is moved into place and back.
//
// What the container needs stays where it is and is never part of an image:
// mount points, /proc, /sys and /dev, kiln's folder, the source tree, and what
// the caller names. All else is set aside when a root filesystem is opened, by
// renaming it, and put back when it is closed.
package inplace
