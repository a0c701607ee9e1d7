// Package mnt mounts: overlays with hundreds of lower directories, binds,
// trees that become read-only. It is a thin layer over the kernel's two mount
// interfaces that prefers the new one and says what the kernel said.
package mnt
