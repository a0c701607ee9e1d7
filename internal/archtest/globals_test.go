package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
)

// noMutableGlobals finds package variables that could change: those that are
// written somewhere, and those whose value is not plainly a constant one.
//
// Allowed are errors, regular expressions, embedded files and tables. What is
// meant to change is passed in.
func noMutableGlobals(s *source) []violation {
	var found []violation
	for _, p := range s.packages {
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
					found = append(found, checkVariables(s, p, f, d)...)
				}
			}
		}
		found = append(found, findWrites(s, p)...)
	}
	return found
}

// checkVariables looks at the values of a var declaration.
func checkVariables(s *source, p *pkg, f *file, decl *ast.GenDecl) []violation {
	var found []violation
	for _, spec := range decl.Specs {
		spec := spec.(*ast.ValueSpec)
		for i, name := range spec.Names {
			switch {
			case name.Name == "_", globals[p.dir+"."+name.Name] != "", isEmbedded(decl, spec):
			case len(spec.Values) != len(spec.Names):
				found = append(found, s.at(name, "the variable %s has no value of its own, so it is made to change: pass it in", name.Name))
			case !isFixed(f, spec.Values[i]):
				found = append(found, s.at(name, "the variable %s is not plainly constant: pass it in, or make it in the function that needs it", name.Name))
			}
		}
	}
	return found
}

// isFixed reports whether a value is one that does not change by being used.
func isFixed(f *file, value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.BinaryExpr:
		return true
	case *ast.ParenExpr:
		return isFixed(f, v.X)
	case *ast.UnaryExpr:
		return v.Op != token.AND && v.Op != token.ARROW && isFixed(f, v.X)
	case *ast.SelectorExpr:
		imported, name, ok := f.member(v)
		return ok && strings.HasPrefix(name, "Err") || imported == "math"
	case *ast.CompositeLit:
		imported, _, _ := f.member(v.Type)
		return !within(imported, "sync") // locks, pools, counters
	case *ast.CallExpr:
		if _, conversion := v.Fun.(*ast.ArrayType); conversion {
			return true // []byte("...")
		}
		imported, name, _ := f.member(v.Fun)
		return slices.Contains([]string{
			"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "bytes.Repeat", "strings.Repeat", "strings.Join",
		}, imported+"."+name)
	}
	return false
}

func isEmbedded(decl *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{decl.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// findWrites finds where a package, tests included, writes to its own or to
// others' package variables.
func findWrites(s *source, p *pkg) []violation {
	var found []violation
	uses := resolve(s, p)
	for _, f := range p.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			_, lent := n.(*ast.UnaryExpr)
			for _, target := range targets(n) {
				name, isGlobal, isForeign := rootGlobal(uses, target)
				// Who takes the address of a library's table only reads it.
				if isGlobal && !(lent && isForeign) && globals[p.dir+"."+name] == "" {
					found = append(found, s.at(target, "the package variable %s is changed here: pass in what changes", name))
				}
			}
			return true
		})
	}
	return found
}

// targets returns what a statement or expression writes to, or lets be written
// to by handing out its address.
func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		return n.Lhs
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		return []ast.Expr{n.Key, n.Value}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, fn.Name) {
			return n.Args[:1]
		}
	}
	return nil
}

// rootGlobal returns the package variable that an expression is part of, and
// whether it is another package's.
func rootGlobal(uses map[*ast.Ident]types.Object, e ast.Expr) (name string, ok, foreign bool) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, isName := x.X.(*ast.Ident); isName {
				if imported, isPackage := uses[id].(*types.PkgName); isPackage {
					return imported.Name() + "." + x.Sel.Name, true, true
				}
			}
			e = x.X
		case *ast.Ident:
			object, isVar := uses[x].(*types.Var)
			return x.Name, isVar && object.Parent() == object.Pkg().Scope(), false
		default:
			return "", false, false
		}
	}
}

// resolve tells which object each identifier of a package stands for. Imports
// are not followed: who writes to what can be told without knowing their types.
func resolve(s *source, p *pkg) map[*ast.Ident]types.Object {
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{
		Importer:    emptyImporter{},
		Error:       func(error) {}, // all the members of empty packages
		FakeImportC: true,
	}
	inside := make(map[string][]*ast.File) // the package, and its tests from outside
	for _, f := range p.files {
		name := f.syntax.Name.Name
		inside[name] = append(inside[name], f.syntax)
	}
	for name, files := range inside {
		_, _ = config.Check(name, s.fset, files, info) // errors are those of above
	}
	return info.Uses
}

// emptyImporter knows packages by their names only.
type emptyImporter struct{}

func (emptyImporter) Import(imported string) (*types.Package, error) {
	p := types.NewPackage(imported, path.Base(imported))
	p.MarkComplete()
	return p, nil
}
