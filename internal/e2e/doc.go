// Package e2e holds the tests of whole builds: kiln's real binary, real
// registries, and the programs of others that pull, unpack and run what it made.
// All of it is test code: the package is empty without.
//
// Each test is one promise of the project, and its name says which. Those that
// need the internet, gigabytes or many minutes run with
//
//	make jobs
//
// only, which sets KILN_JOBS; the others are part of make test, as root and as
// an ordinary user.
package e2e
