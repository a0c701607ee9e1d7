// Package testenv gives tests real surroundings: a registry over loopback, base
// images made of Debian's own packages, and words for what a test needs of the
// machine it runs on.
//
// Only tests import it; internal/archtest holds that.
package testenv
