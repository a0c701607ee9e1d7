package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/testenv"
)

// Four stages that do not need each other run side by side: each of their RUNs
// has begun before the first of them has ended. How much faster that is depends
// on the machine, and is only told.
func TestIndependentStagesRunSideBySide(t *testing.T) {
	r := testenv.Registry(t)
	base := testenv.BusyboxBase(t, r)
	var file strings.Builder
	const stages = 4
	for i := range stages {
		// The clock of /proc/uptime is the same for all.
		fmt.Fprintf(&file, "FROM %s AS s%d\n", base, i)
		fmt.Fprint(&file, "RUN cut -d' ' -f1 /proc/uptime > /begin && i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done; "+
			"cut -d' ' -f1 /proc/uptime > /end\n")
	}
	fmt.Fprintf(&file, "FROM scratch\n")
	for i := range stages {
		fmt.Fprintf(&file, "COPY --from=s%d /begin /end /%[1]d/\n", i)
	}
	b := newBuilder(t, r)
	out := filepath.Join(t.TempDir(), "out")
	built := b.build("-o", out, source(t, map[string]string{"Dockerfile": file.String()}))

	var lastBegin, firstEnd, sum time.Duration
	for i := range stages {
		begin := readSeconds(t, filepath.Join(out, fmt.Sprint(i), "begin"))
		end := readSeconds(t, filepath.Join(out, fmt.Sprint(i), "end"))
		t.Logf("stage %d ran from %v to %v", i, begin, end)
		lastBegin = max(lastBegin, begin)
		if i == 0 || end < firstEnd {
			firstEnd = end
		}
		sum += end - begin
	}
	if lastBegin >= firstEnd {
		t.Errorf("a RUN began at %v, when another had ended at %v: they ran one after the other", lastBegin, firstEnd)
	}
	t.Logf("the build took %v; the RUNs, added up, %v", built.took, sum)
}

// readSeconds reads a file with a number of seconds.
func readSeconds(t *testing.T, path string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(text)) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}
