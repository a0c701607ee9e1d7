// Package image makes images out of what a build has come to, layers and a
// config, and writes them down: [Assemble] makes config and manifest, the
// functions named Write put an image into an archive, a layout, or plain files.
//
// What is written is either all there or not there. Memory does not grow with
// the size of layers.
package image
