// Package blob checks bytes against the descriptor that promises them, while
// they are read: whoever reads a blob to its end without an error has read
// exactly what its digest names.
package blob
