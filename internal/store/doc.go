// Package store is kiln's folder on disk: blobs by digest, unpacked layers and
// indexes by diff ID, records by key. Any number of builds use one folder at
// once, and a build may be killed at any moment.
//
//	blobs/sha256/<hex>       compressed layers, configs, manifests
//	indexes/sha256.<hex>     indexes of layers, by diff ID
//	records/<name>           small values
//	layers/<generation>/     unpacked layers, see [Store.LayerDir]
//	tmp/<session>/           what a running process has not finished
//
// # What holds after a kill
//
// Everything appears by rename (or, for an unpacked layer, by the symbolic link
// that names it), so nobody ever sees half of anything. What a process has not
// finished lies in folders that it holds a flock(2) on, which the kernel
// gives back however the process ends: a folder whose lock can be taken belongs
// to nobody, and Open removes it.
//
// # What holds after a power cut, and why there is no fsync
//
// Without fsync a file may be named after a power cut, and yet be empty.
// Syncing every file of an unpacked layer, or the whole file system, would make
// every build pay for that. Instead, what is read is checked: blobs against
// their digest, indexes and records against the checksum they end in; a file
// that fails counts as not there and is removed. Unpacked layers, which are too
// big to check, are used only until the machine is started again: their folder
// carries the boot's number.
package store
