package store

import (
	"crypto/rand"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Unpacked layers of different generations do not mix. A generation is named
// "<boot>-<ids>":
//
//   - The boot, because nothing else says whether all of an unpacked layer has
//     reached the disk.
//   - How user and group ids are mapped, because unpacked files have real
//     owners: what one user namespace unpacked has other owners in the next.

// generationName returns the generation of this process.
func generationName() string {
	return bootName() + "-" + idsName()
}

// isOldBoot reports whether generation is one that no process of this boot
// uses. On a folder that several machines share it may be another machine's.
func isOldBoot(generation string) bool {
	boot, _, ok := strings.Cut(generation, "-")
	return ok && boot != bootName()
}

func bootName() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		// Nothing is known, so what others unpacked cannot be trusted.
		return "unknown." + rand.Text()
	}
	return shortHash(string(id))
}

func idsName() string {
	var ids strings.Builder
	for _, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		text, _ := os.ReadFile(file) // not there: a kernel without user namespaces
		ids.WriteString(strings.Join(strings.Fields(string(text)), " ") + "\n")
	}
	if os.Geteuid() != 0 {
		ids.WriteString("not root\n")
	}
	return shortHash(ids.String())
}

func shortHash(s string) string { return digest.FromString(s).Encoded()[:16] }
