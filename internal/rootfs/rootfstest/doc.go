// Package rootfstest is the suite that every engine passes, as root and
// rootless: what package rootfs promises, written as tests.
//
// Each test says what a script changes and what a layer has to say of it, so
// that all engines give the same layers. A package with an engine calls [Run]
// from a test, and [Main] from its TestMain:
//
//	func TestMain(m *testing.M) {
//		if code, ok := rootfstest.Main(os.Args); ok {
//			os.Exit(code)
//		}
//		os.Exit(m.Run())
//	}
//
// For an ordinary user Main runs the tests in a user namespace; for root,
// [AsUser] runs them once more as one.
//
// The root filesystem in the tests is /bin/busybox, from Debian's package
// busybox-static, and the test binary itself under the name /tool for what
// busybox cannot do.
package rootfstest
