// Package step makes layers' deltas out of the instructions that need no root
// filesystem: COPY, ADD and WORKDIR are functions from what the image shows (a
// tree) and what is copied (a view) to a [layer.Delta].
//
// A [Selection] is what a COPY takes, resolved once: its digest goes into the
// step's key, and the delta is made from it. What it becomes is worked out in a
// draft, the image as the step sees and changes it.
package step
