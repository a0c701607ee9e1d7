package archtest

import (
	"maps"
	"os"
	"slices"
	"testing"
)

// rule looks at a source tree and returns where it is broken.
type rule func(*source) []violation

// rules lists all rules by name.
func rules() map[string]rule {
	return map[string]rule{
		"ImportsPointDown":          importsPointDown,
		"LibrariesStayInTheirRooms": librariesStayInTheirRooms,
		"TestsStayInTests":          testsStayInTests,
		"NoCgo":                     noCgo,
		"PackagesAreDocumented":     packagesAreDocumented,
		"PackagesHaveNames":         packagesHaveNames,
		"NoInit":                    noInit,
		"NoMutableGlobals":          noMutableGlobals,
		"OnlyMainExits":             onlyMainExits,
		"OnlyPrintersPrint":         onlyPrintersPrint,
		"FunctionsAreShort":         functionsAreShort,
		"FilesAreShort":             filesAreShort,
	}
}

// TestArchitecture holds the rules against kiln.
func TestArchitecture(t *testing.T) {
	s, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.packages) < 10 {
		t.Fatalf("found %d packages: this is not the source tree of kiln", len(s.packages))
	}
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			for _, v := range rule(s) {
				t.Error(v)
			}
		})
	}
}

// TestTablesAreTrue finds lines of the tables that speak of nothing.
func TestTablesAreTrue(t *testing.T) {
	s, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	exists := func(dir string) bool {
		return slices.ContainsFunc(s.packages, func(p *pkg) bool { return p.dir == dir })
	}
	for _, table := range [][]string{rooms, testOnly, keys(printers), keys(exits), keys(strangers)} {
		for _, dir := range table {
			if !exists(dir) {
				t.Errorf("there is no package %s: take it out of rooms_test.go", dir)
			}
		}
	}
	for room, list := range strangers {
		for _, dir := range list {
			if !exists(dir) {
				t.Errorf("there is no package %s: take it from the strangers of %s in rooms_test.go", dir, room)
			}
		}
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
