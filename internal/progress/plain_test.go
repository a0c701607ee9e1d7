package progress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// exampleBuild is a build with two stages side by side, at known times.
func exampleBuild(sink Sink) {
	r := NewReporter(sink)
	pull := r.Start(Task{Name: "pull debian:12"})
	layer := r.Start(Task{Name: "layer sha256:0123", Detail: true})
	for n := int64(1); n <= 8; n++ {
		time.Sleep(time.Second)
		if n <= 4 {
			layer.Advance(n*5_700_000, 22_800_000)
		}
		pull.Advance(n*5_700_000, 45_600_000)
		if n == 4 {
			layer.End(Done, nil)
		}
	}
	pull.End(Done, nil)

	r.Start(Task{Stage: "build", Step: 1, Steps: 3, Name: "WORKDIR /src", Line: 2}).End(Cached, nil)
	make := r.Start(Task{Stage: "build", Step: 2, Steps: 3, Name: "RUN make", Line: 3})
	script := r.Start(Task{Stage: "stage-1", Step: 1, Steps: 1, Name: "RUN <<EOF\necho hello\nEOF", Line: 5})
	time.Sleep(412 * time.Millisecond)
	make.Print("cc -O2 -o hello hello.c")
	time.Sleep(100 * time.Millisecond)
	script.Print("\x1b[32mhello\x1b[0m")
	script.Print("")
	make.Warn("hello.c is old")
	time.Sleep(time.Second)
	make.End(Done, errors.New("exit status 2\nand more"))
	script.End(Done, fmt.Errorf("run: %w", context.Canceled))
	r.Warn("the cache is full")
}

func TestDetailsAreInTheLogWhenTheyTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewReporter(NewPlain(&out))
		short := r.Start(Task{Name: "push app 0123", Detail: true})
		long := r.Start(Task{Name: "push app 4567", Detail: true})
		for n := range int64(12) {
			time.Sleep(time.Second)
			long.Advance(n*1_000_000, 12_000_000)
			if n == 3 {
				short.Advance(100, 100)
				short.End(Done, nil)
			}
		}
		long.Warn("the connection was lost")
		long.End(Done, nil)
		const want = `#1 push app 4567
#1 5.0s 4.00MB / 12.0MB
#1 10.0s 9.00MB / 12.0MB
#1 WARNING: the connection was lost
#1 DONE 12.0s 11.0MB / 12.0MB
`
		if out.String() != want {
			t.Errorf("printed:\n%s\nwant:\n%s", &out, want)
		}
	})
}

func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		exampleBuild(NewPlain(&out))
		const want = `#1 pull debian:12
#1 5.0s 28.5MB / 45.6MB
#1 DONE 8.0s 45.6MB
#2 [build 1/3] WORKDIR /src
#2 CACHED
#3 [build 2/3] RUN make
#4 [stage-1 1/1] RUN <<EOF ...
#3 0.412 cc -O2 -o hello hello.c
#4 0.512 hello
#4 0.512
#3 WARNING: hello.c is old
#3 ERROR exit status 2 ...
#4 CANCELED
WARNING: the cache is full
`
		if out.String() != want {
			t.Errorf("printed:\n%s\nwant:\n%s", &out, want)
		}
	})
}

// oneLineWrites fails when a write is not one whole line.
type oneLineWrites struct{ t *testing.T }

func (w oneLineWrites) Write(p []byte) (int, error) {
	if !regexp.MustCompile(`^#(\d+) (\[s\d+ 1/1\] RUN|\d+\.\d{3} line \d+|DONE \d+\.\ds)\n$`).Match(p) {
		w.t.Errorf("wrote %q", p)
	}
	return len(p), nil
}

func TestParallelLinesAreNotTorn(t *testing.T) {
	r := NewReporter(NewPlain(oneLineWrites{t}))
	var wg sync.WaitGroup
	for s := range 8 {
		wg.Go(func() {
			task := r.Start(Task{Stage: fmt.Sprintf("s%d", s), Step: 1, Steps: 1, Name: "RUN"})
			w := task.Writer(nil)
			for n := range 100 {
				fmt.Fprintf(w, "li")
				fmt.Fprintf(w, "ne %d\n", n)
			}
			task.End(Done, w.Close())
		})
	}
	wg.Wait()
}

func TestALogThatCannotBeWrittenIsDropped(t *testing.T) {
	for name, sink := range map[string]Sink{
		"plain": NewPlain(brokenWriter{}),
		"json":  NewJSON(brokenWriter{}),
	} {
		t.Run(name, func(t *testing.T) {
			task := NewReporter(sink).Start(Task{Name: "x"})
			if _, err := io.Copy(task.Writer(nil), strings.NewReader("a\nb\n")); err != nil {
				t.Errorf("the process sees %v", err)
			}
			task.End(Done, nil)
		})
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
