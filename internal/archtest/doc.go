// Package archtest holds the rules of kiln's source tree as tests: which way
// imports point, what a package needs, and what none may do. ARCHITECTURE.md says
// why; this package sees to it that it stays true.
//
// All of it is in test files. rooms_test.go is the table to edit.
package archtest
