// Package mount turns what a RUN asks for (plan.Run and its --mount flags) into
// what a process sees (proc.Spec): one file a mount type. It finds or makes the
// content of each mount before the process starts, and puts away what it made
// when the process has ended; how a mount is shown is the engine's affair.
package mount
