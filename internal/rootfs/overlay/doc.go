// Package overlay is the storage that makes root filesystems with overlayfs
// over unpacked layers, one directory a layer.
//
// Layers are unpacked once, side by side, and kept in the store by diff ID;
// what a RUN wrote is the upper directory of its overlay, becomes the next
// lower directory as it is, and is read from there as the layer's content,
// while the next RUN is on its way.
//
// # Directories that only stand in
//
// A layer that adds a/b/c need not say what a and a/b are. Its directory has
// to hold them all the same, and would hide the real ones' mode and owner. So
// each directory knows which of its directories are implied (see [layerDir]),
// and a stack of layers with such directories gets one more on top, the
// skeleton, that shows the right modes and owners (file skeleton.go).
package overlay
