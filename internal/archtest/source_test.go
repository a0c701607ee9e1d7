package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/kiln-build/kiln"

// source is a source tree, parsed.
type source struct {
	fset     *token.FileSet
	packages []*pkg
}

// pkg is the Go files of one directory.
type pkg struct {
	// dir is the directory below the module, "internal/layer".
	dir   string
	name  string
	files []*file
}

// file is one Go file.
type file struct {
	// path is its place below the module, "internal/layer/tar.go".
	path   string
	isTest bool
	syntax *ast.File
	// imports maps the name that an import has in this file to its path.
	imports map[string]string
}

// violation is one broken rule in one place.
type violation struct {
	pos     token.Position
	message string
}

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: %s", v.pos.Filename, v.pos.Line, v.message)
}

// load parses the Go files of kiln below cmd and internal.
func load(tree fs.FS) (*source, error) {
	s := &source{fset: token.NewFileSet()}
	byDir := make(map[string]*pkg)
	for _, top := range []string{"cmd", "internal"} {
		err := fs.WalkDir(tree, top, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || path.Ext(name) != ".go":
				return nil
			}
			f, err := s.parse(tree, name)
			if err != nil {
				return err
			}
			dir := path.Dir(name)
			if byDir[dir] == nil {
				byDir[dir] = &pkg{dir: dir}
			}
			byDir[dir].add(f)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the source tree: %w", err)
		}
	}
	s.packages = slices.SortedFunc(maps.Values(byDir), func(a, b *pkg) int { return cmp.Compare(a.dir, b.dir) })
	return s, nil
}

func (s *source) parse(tree fs.FS, name string) (*file, error) {
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	syntax, err := parser.ParseFile(s.fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{
		path: name, isTest: strings.HasSuffix(name, "_test.go"),
		syntax: syntax, imports: make(map[string]string),
	}
	for _, spec := range syntax.Imports {
		imported := importPath(spec)
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.imports[local] = imported
	}
	return f, nil
}

func (p *pkg) add(f *file) {
	p.files = append(p.files, f)
	if !f.isTest {
		p.name = f.syntax.Name.Name
	}
}

// code returns the files that are not tests.
func (p *pkg) code() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.isTest })
}

// at makes a violation of the place of a node.
func (s *source) at(node ast.Node, format string, args ...any) violation {
	return violation{pos: s.fset.Position(node.Pos()), message: fmt.Sprintf(format, args...)}
}

// atPackage makes a violation of a package as a whole.
func (s *source) atPackage(p *pkg, format string, args ...any) violation {
	return s.at(p.files[0].syntax.Name, format, args...)
}

func importPath(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser has refused it already
	}
	return imported
}

// member returns the path and the name that a selector stands for where it is a
// package's member: ("os", "Exit").
func (f *file) member(n ast.Node) (imported, name string, ok bool) {
	selector, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", "", false
	}
	x, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	imported, ok = f.imports[x.Name]
	return imported, selector.Sel.Name, ok
}

// within reports whether a package is dir or below it.
func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }
