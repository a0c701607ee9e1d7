package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// importsPointDown finds imports of packages above, of strangers, and packages
// that the table of rooms lacks.
func importsPointDown(s *source) []violation {
	var found []violation
	for _, p := range s.packages {
		place := slices.Index(rooms, p.dir)
		if place < 0 {
			found = append(found, s.atPackage(p, "%s is not in the table of internal/archtest/rooms_test.go: put it in its place there", p.dir))
			continue
		}
		for _, f := range p.code() {
			for _, spec := range f.syntax.Imports {
				imported, ours := strings.CutPrefix(importPath(spec), module+"/")
				if !ours {
					continue
				}
				if slices.Index(rooms, imported) <= place {
					found = append(found, s.at(spec, "%s imports %s, which is above it", p.dir, imported))
				}
				if isStranger(p.dir, imported) {
					found = append(found, s.at(spec, "%s imports %s, which it is not to know of", p.dir, imported))
				}
			}
		}
	}
	return found
}

func isStranger(pkg, imported string) bool {
	for room, list := range strangers {
		if within(pkg, room) && slices.ContainsFunc(list, func(s string) bool { return within(imported, s) }) {
			return true
		}
	}
	return false
}

// librariesStayInTheirRooms finds imports of modules that belong to other
// packages.
func librariesStayInTheirRooms(s *source) []violation {
	return eachImport(s, func(p *pkg, f *file, spec *ast.ImportSpec) []violation {
		for library, homes := range libraries {
			at := func(home string) bool { return within(p.dir, home) }
			if within(importPath(spec), library) && !f.isTest && !slices.ContainsFunc(homes, at) {
				return []violation{s.at(spec, "%s imports %s, which is kept in %s", p.dir, importPath(spec), strings.Join(homes, ", "))}
			}
		}
		return nil
	})
}

// testsStayInTests finds code that imports what is made for tests.
func testsStayInTests(s *source) []violation {
	return eachImport(s, func(p *pkg, f *file, spec *ast.ImportSpec) []violation {
		imported, ours := strings.CutPrefix(importPath(spec), module+"/")
		if f.isTest || isTestOnly(p.dir) {
			return nil
		}
		if ours && isTestOnly(imported) || within(importPath(spec), "testing") {
			return []violation{s.at(spec, "%s imports %s, which only tests do", p.dir, imported)}
		}
		return nil
	})
}

// noCgo finds imports of C.
func noCgo(s *source) []violation {
	return eachImport(s, func(p *pkg, _ *file, spec *ast.ImportSpec) []violation {
		if importPath(spec) == "C" {
			return []violation{s.at(spec, "%s uses cgo; kiln is one static binary", p.dir)}
		}
		return nil
	})
}

func eachImport(s *source, check func(*pkg, *file, *ast.ImportSpec) []violation) []violation {
	var found []violation
	for _, p := range s.packages {
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				found = append(found, check(p, f, spec)...)
			}
		}
	}
	return found
}
