// Package build is the table of contents of the whole program: [Build] reads a
// Dockerfile and a source tree, plans, solves, and hands the image to outputs.
package build
