// Package image makes an image of a state, layers and a config, and writes it
// where it is wanted: [Assemble] gives the config and the manifest, the outputs
// write them, one file an output.
package image
