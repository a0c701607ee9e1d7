// Package step makes layers' deltas out of instructions: one file an
// instruction. COPY, ADD and WORKDIR are functions from what the image shows
// (a tree) and what is copied (a view) to a [layer.Delta]; they never touch a
// root filesystem. RUN is turned into a process specification here and run by
// an engine.
package step
