// Package snapshot finds out what changed in a directory tree by looking at it
// before and after, without reading a file: what cannot change without leaving
// a trace is compared, above all the inode change time, which no process can
// set (file compare.go). It costs one statx(2) a file, on all processors, and
// less than 150 bytes of memory.
//
// Two changes within one tick of the file system's clock leave the same trace:
// [Snapshot.WaitTick] waits until what happens next is sure to leave another.
package snapshot
