package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// packagesAreDocumented finds packages whose doc.go lacks the package comment,
// or that say it twice. A program's is where its main is.
func packagesAreDocumented(s *source) []violation {
	var found []violation
	for _, p := range s.packages {
		home, start := "doc.go", "Package "+p.name+" "
		if p.name == "main" {
			home, start = "main.go", "Command "+path.Base(p.dir)+" "
		}
		documented := false
		for _, f := range p.code() {
			doc := f.syntax.Doc
			switch {
			case doc == nil:
			case path.Base(f.path) != home:
				found = append(found, s.at(f.syntax.Name, "the package comment of %s belongs into its %s", p.dir, home))
			case !strings.HasPrefix(doc.Text(), start):
				found = append(found, s.at(f.syntax.Name, "the package comment of %s does not begin with %q", p.dir, start))
				documented = true
			default:
				documented = true
			}
		}
		if !documented {
			found = append(found, s.atPackage(p, "%s has no package comment in a %s", p.dir, home))
		}
	}
	return found
}

// packagesHaveNames finds packages named after nothing they hold.
func packagesHaveNames(s *source) []violation {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "base", "types"}
	var found []violation
	for _, p := range s.packages {
		if slices.Contains(vague, p.name) || slices.Contains(vague, path.Base(p.dir)) {
			found = append(found, s.atPackage(p, "%s says nothing about what it holds: name it after that", p.dir))
		}
	}
	return found
}

// noInit finds init functions: what happens at the start is written in main.
func noInit(s *source) []violation {
	return eachFunction(s, func(p *pkg, f *file, fn *ast.FuncDecl) []violation {
		if fn.Recv == nil && fn.Name.Name == "init" {
			return []violation{s.at(fn, "%s has an init function: do it where it is needed", p.dir)}
		}
		return nil
	})
}

// onlyMainExits finds calls that end the process.
func onlyMainExits(s *source) []violation {
	return eachMember(s, func(p *pkg, n ast.Node, imported, name string) []violation {
		ends := imported == "os" && name == "Exit" || imported == "syscall" && name == "Exit" ||
			imported == "golang.org/x/sys/unix" && name == "Exit" ||
			imported == "log" && (strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic"))
		if ends && exits[p.dir] == "" && !isTestOnly(p.dir) {
			return []violation{s.at(n, "%s calls %s.%s: return an error, only main exits", p.dir, imported, name)}
		}
		return nil
	})
}

// onlyPrintersPrint finds code that writes to the terminal behind everyone's
// back.
func onlyPrintersPrint(s *source) []violation {
	return eachMember(s, func(p *pkg, n ast.Node, imported, name string) []violation {
		prints := imported == "os" && (name == "Stdout" || name == "Stderr") ||
			imported == "fmt" && strings.HasPrefix(name, "Print") ||
			imported == "log" && strings.HasPrefix(name, "Print")
		if prints && printers[p.dir] == "" && !isTestOnly(p.dir) {
			return []violation{s.at(n, "%s uses %s.%s: report an event to internal/progress", p.dir, imported, name)}
		}
		return nil
	})
}

// eachFunction visits the functions that are not tests.
func eachFunction(s *source, check func(*pkg, *file, *ast.FuncDecl) []violation) []violation {
	var found []violation
	for _, p := range s.packages {
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok {
					found = append(found, check(p, f, fn)...)
				}
			}
		}
	}
	return found
}

// eachMember visits what the code, tests not, uses of imported packages.
func eachMember(s *source, check func(p *pkg, n ast.Node, imported, name string) []violation) []violation {
	var found []violation
	for _, p := range s.packages {
		for _, f := range p.code() {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if imported, name, ok := f.member(n); ok {
					found = append(found, check(p, n, imported, name)...)
				}
				return true
			})
		}
	}
	return found
}
