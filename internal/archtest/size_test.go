package archtest

import (
	"go/ast"
)

const (
	maxFunctionLines = 100
	maxFileLines     = 600
)

// functionsAreShort finds functions that nobody reads at one go.
func functionsAreShort(s *source) []violation {
	return eachFunction(s, func(p *pkg, _ *file, fn *ast.FuncDecl) []violation {
		lines := s.fset.Position(fn.End()).Line - s.fset.Position(fn.Pos()).Line + 1
		name := p.dir + "." + functionName(fn)
		if lines > maxFunctionLines && longFunctions[name] == "" {
			return []violation{s.at(fn, "%s has %d lines, more than %d", name, lines, maxFunctionLines)}
		}
		return nil
	})
}

// filesAreShort finds files that hold more than one thing.
func filesAreShort(s *source) []violation {
	var found []violation
	for _, p := range s.packages {
		for _, f := range p.code() {
			lines := s.fset.File(f.syntax.FileStart).LineCount()
			if lines > maxFileLines && longFiles[f.path] == "" {
				found = append(found, s.at(f.syntax.Name, "%s has %d lines, more than %d", f.path, lines, maxFileLines))
			}
		}
	}
	return found
}

// functionName returns "Function", or "Type.Method".
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr: // a generic type
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}
