// Package cache finds and keeps the layers of steps by their key. A record says
// which layer a key has; it is small, immutable and written atomically, so that
// any number of builds share one cache. What is recorded is believed only as far
// as it can be checked: a record whose blob is gone or whose form is unknown is
// a miss.
//
// The directories of RUN --mount=type=cache live here too, see [Mounts].
package cache
