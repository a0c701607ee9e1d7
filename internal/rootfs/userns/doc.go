// Package userns gives an ordinary user the rights that engines need: kiln runs
// itself again in a user and mount namespace, in which it is root.
//
// # How
//
// [Enter] starts the program under the name [StageName] in new namespaces. The
// child has every capability there, but no user id yet, and waits. The parent
// writes the map of ids, with newuidmap and newgidmap where /etc/subuid has a
// range for the user. The child then becomes user 0 and executes the program
// with its own arguments again, which finds that it has what it needs. The
// parent stays, passes signals on, and ends as the child does.
//
// # What main has to do
//
//	if err := userns.Stage(os.Args); err != nil { ... } // does not return if it is the child
//	if userns.Needed() {
//		code, err := userns.Enter()
//		...
//	}
//
// An error of Enter need not be the end: building without RUN needs no
// namespace.
package userns
