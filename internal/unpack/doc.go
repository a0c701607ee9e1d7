// Package unpack puts a layer's changes into a directory: a root filesystem
// that holds the layers below, or the directory that overlayfs takes for one
// layer.
//
// Nothing that a layer says makes it write outside of that directory: every
// step is taken through [github.com/kiln-build/kiln/internal/inroot], and no
// symbolic link is ever followed.
package unpack
