// Package namespaces runs processes in mount, PID, IPC and UTS namespaces of
// their own: the isolation of every engine that may unshare.
//
// # One run
//
// [Isolation.Run] starts the program it is part of again, under the name
// [InitName], in new namespaces. That child is PID 1 there: it reads what to do
// from a pipe, puts the root filesystem together (file root.go and those for
// each kind of mount), pivots into it, starts the process (launch.go), reaps
// until the process has ended (reap.go), takes away what it made to mount on
// (place.go) and reports through a second pipe. When PID 1 ends, the kernel
// ends everything else in the namespace, before the parent learns of it. PID 1
// itself dies with the thread of kiln that started it.
//
// # What main has to do
//
// The main function of every program that uses this package, test binaries
// included, begins with
//
//	if code, ok := namespaces.Main(os.Args); ok {
//		os.Exit(code)
//	}
//
// In tests that is a TestMain:
//
//	func TestMain(m *testing.M) {
//		if code, ok := namespaces.Main(os.Args); ok {
//			os.Exit(code)
//		}
//		os.Exit(m.Run())
//	}
package namespaces
