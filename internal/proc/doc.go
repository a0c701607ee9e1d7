// Package proc says what one process of a build is: what runs, as whom, where,
// and what it sees besides its root filesystem. It is a value; package rootfs
// runs it.
package proc
