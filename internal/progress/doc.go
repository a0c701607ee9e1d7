// Package progress carries what happens in a build to those who watch it. The
// rooms emit [Event] values into a [Sink]; sinks print them for a terminal, as
// plain lines or as JSON. Nothing else in kiln prints.
package progress
