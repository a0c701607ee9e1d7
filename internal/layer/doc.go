// Package layer holds the noun the whole program turns around: a layer, which
// is a description first and bytes second.
//
//   - [Entry] is what one path of a layer shows: the facts of a tar header, compact.
//   - [Delta] is what one step changed: entries and where their content is read.
//   - [Layer] is a finished, pending or remote layer: its descriptor, its diff ID,
//     its [Index] (all entries, no content) and its bytes, each had when asked for.
//   - [Writer] turns a Delta into a Layer: one pass, tar -> sha256 -> compressor ->
//     sha256 -> blob file, while the caller goes on.
//   - [ReadTar] reads entries and content back out of a tar, [Decompress] unpacks
//     it first, [BuildIndex] keeps what they say but for the content.
//
// Nothing here knows what a Dockerfile, a root filesystem or a registry is.
// Memory does not grow with the size of a layer's content.
package layer
