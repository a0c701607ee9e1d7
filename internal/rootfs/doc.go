// Package rootfs makes root filesystems out of layers and runs processes in
// them. An [Engine] is a pair, storage x isolation; each half is written once,
// in a folder of its own:
//
//   - overlay: overlayfs over unpacked layers, one directory a layer
//   - dir: one directory that layers are unpacked into
//   - namespaces: processes in mount, PID, IPC and UTS namespaces of their own
//
// A storage lays out directories for a process and its mounts, a [Job], and
// hands it to an [Isolation], which knows nothing of layers. Package engines
// puts the pairs together and finds out, by trying, which of them works. All
// engines pass the suite in rootfstest. Package userns makes an ordinary user
// root of a user namespace, which all of this can then be done in.
package rootfs
