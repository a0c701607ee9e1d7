package archtest

import "slices"

// rooms lists every package of kiln, top to bottom: a package may import those
// below it and none above it. It says what ARCHITECTURE.md says.
var rooms = []string{
	"cmd/kiln",
	"internal/cli",
	"internal/build",
	"internal/solve",
	"internal/mount",
	"internal/image",
	"internal/registry",
	"internal/dockerfile",
	"internal/cache",
	"internal/step",
	"internal/buildcontext",
	"internal/gitrepo",
	"internal/plan",
	"internal/rootfs/rootfstest",
	"internal/rootfs/engines",
	"internal/rootfs/inplace",
	"internal/rootfs/dir",
	"internal/rootfs/overlay",
	"internal/rootfs/snapshot",
	"internal/rootfs/fill",
	"internal/rootfs/namespaces",
	"internal/rootfs/userns",
	"internal/rootfs",
	"internal/tree",
	"internal/unpack",
	"internal/store",
	"internal/rootfs/scan",
	"internal/rootfs/mnt",
	"internal/proc",
	"internal/layer",
	"internal/spool",
	"internal/blob",
	"internal/inroot",
	"internal/progress",
	"internal/testenv",
	"internal/conformance",
	"internal/e2e",
	"internal/archtest",
}

// strangers lists what a package must not import although it lies below: what
// it is not to know of. An entry holds for the packages below it, too.
var strangers = map[string][]string{
	"internal/image":        {"internal/registry", "internal/dockerfile", "internal/step", "internal/rootfs"},
	"internal/registry":     {"internal/dockerfile", "internal/step", "internal/cache", "internal/rootfs", "internal/buildcontext"},
	"internal/dockerfile":   {"internal/rootfs", "internal/store", "internal/step"},
	"internal/cache":        {"internal/step", "internal/plan", "internal/rootfs"},
	"internal/step":         {"internal/rootfs"},
	"internal/buildcontext": {"internal/plan", "internal/rootfs", "internal/store"},
	"internal/plan":         {"internal/rootfs", "internal/store"},
}

// libraries lists modules that are kept inside some packages, so that replacing
// one stays the work of an afternoon.
var libraries = map[string][]string{
	"github.com/spf13/cobra":                {"internal/cli"},
	"github.com/spf13/pflag":                {"internal/cli"},
	"github.com/moby/buildkit":              {"internal/dockerfile"},
	"github.com/klauspost/pgzip":            {"internal/layer"},
	"github.com/go-git":                     {"internal/gitrepo"},
	"github.com/distribution/distribution":  {"internal/testenv"},
	"github.com/sirupsen/logrus":            {"internal/testenv"},
	"github.com/rogpeppe/go-internal":       {"internal/cli", "cmd/kiln"},
	"github.com/cyphar/filepath-securejoin": {"internal/inroot", "internal/rootfs/namespaces", "internal/rootfs/inplace"},
}

// testOnly lists the packages that only tests import, which may therefore
// import testing.
var testOnly = []string{
	"internal/testenv",
	"internal/rootfs/rootfstest",
}

// printers are the packages that write to the terminal, and why. All others
// return errors and report events.
var printers = map[string]string{
	"cmd/kiln":                   "main",
	"internal/cli":               "prints results and errors",
	"internal/rootfs/namespaces": "PID 1 of a RUN is a process of its own",
	"internal/rootfs/userns":     "kiln in a user namespace gets kiln's own streams",
}

// exits are the packages that may end the process, and why.
var exits = map[string]string{
	"cmd/kiln":                   "main",
	"internal/rootfs/namespaces": "PID 1 of a RUN is a process of its own, and ends with its parent",
}

// longFunctions and longFiles name what may be longer than the rules allow, and
// why: "internal/layer.Writer.Write" or "internal/layer/writer.go".
var (
	longFunctions = map[string]string{}
	longFiles     = map[string]string{}
)

// globals names package variables that are as they should be although the rule
// does not see it, and why: "internal/layer.zero".
var globals = map[string]string{}

// isTestOnly reports whether only tests may import a package.
func isTestOnly(pkg string) bool { return slices.Contains(testOnly, pkg) }
