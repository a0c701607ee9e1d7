// Package rootfs makes root filesystems out of layers and runs processes in
// them. An [Engine] is a pair, storage x isolation; each half is written once,
// in a folder of its own:
//
//   - overlay: overlayfs over unpacked layers, one directory a layer
//   - dir: one directory that layers are unpacked into
//   - namespaces: processes in mount, PID, IPC and UTS namespaces of their own
//
// Which engine works where is found out by trying, see [Probe]. All engines
// pass the suite in rootfstest.
package rootfs
