// Package inroot is the one way to a path inside an image's root filesystem on
// disk. Names are resolved below a root directory and cannot leave it: ".." stops
// at the root, absolute symbolic links start at it, and a directory swapped for a
// link while kiln works does not help an attacker, because every step is taken
// from an open directory.
package inroot
