// Package spool keeps the contents of many files, one after the other, in one
// nameless temporary file: nothing is left on disk when the process ends, in
// whatever way it ends.
package spool
