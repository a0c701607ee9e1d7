package progress

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// onScreen runs a test with a TTY on a screen, under a clock of its own.
func onScreen(t *testing.T, width, height int, test func(t *testing.T, s *screen, tty *TTY)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(t, width, height)
		tty := NewTTY(s, s.size, false)
		defer tty.Close()
		test(t, s, tty)
	})
}

// shows waits for the next redraw and compares what is on the screen.
func shows(t *testing.T, s *screen, want string) {
	t.Helper()
	time.Sleep(redrawEvery)
	synctest.Wait()
	if got, want := s.text(), strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", got, want)
	}
}

func TestTTYShowsWhatRunsBelowWhatIsDone(t *testing.T) {
	onScreen(t, 60, 24, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		r.Start(Task{Stage: "build", Step: 1, Steps: 3, Name: "WORKDIR /src"}).End(Cached, nil)
		compile := r.Start(Task{Stage: "build", Step: 2, Steps: 3, Name: "RUN make"})
		compile.Print("cc -O2 -o hello hello.c")
		test := r.Start(Task{Stage: "test", Step: 1, Steps: 1, Name: "RUN make test"})
		shows(t, s, `
✓ [build 1/3] WORKDIR /src                           cached
> [build 2/3] RUN make  cc -O2 -o hello hello.c        0.1s
> [test 1/1] RUN make test                             0.1s
`)
		if !s.hidden {
			t.Error("the cursor is in the way")
		}

		compile.Print("ld hello")
		time.Sleep(61 * time.Second)
		test.End(Done, errors.New("exit status 2"))
		r.Warn("the disk is nearly full")
		shows(t, s, `
✓ [build 1/3] WORKDIR /src                           cached
✗ [test 1/1] RUN make test  exit status 2             1m01s
! the disk is nearly full
> [build 2/3] RUN make  ld hello                      1m01s
`)

		compile.End(Done, fmt.Errorf("stopped: %w", context.Canceled))
		tty.Close()
		shows(t, s, `
✓ [build 1/3] WORKDIR /src                           cached
✗ [test 1/1] RUN make test  exit status 2             1m01s
! the disk is nearly full
- [build 2/3] RUN make                             canceled
`)
		if s.hidden || s.noWrap {
			t.Error("the terminal was not given back as it was")
		}
	})
}

func TestTTYShowsSizesAndRates(t *testing.T) {
	onScreen(t, 70, 24, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		pull := r.Start(Task{Name: "pull debian:12"})
		layer := r.Start(Task{Name: "layer 0123abcd", Detail: true})
		for n := int64(1); n <= 50; n++ { // 1 MB/s for five seconds
			time.Sleep(100 * time.Millisecond)
			pull.Advance(n*100_000, 45_600_000)
			layer.Advance(n*100_000, 0)
		}
		shows(t, s, `
> pull debian:12  5.00MB / 45.6MB  968kB/s                       5.1s
>   layer 0123abcd  5.00MB  968kB/s                              5.1s
`)
		time.Sleep(10 * time.Second) // nothing comes
		shows(t, s, `
> pull debian:12  5.00MB / 45.6MB  227kB/s                      15.2s
>   layer 0123abcd  5.00MB  227kB/s                             15.2s
`)
		pull.Advance(45_600_000, 45_600_000)
		layer.End(Done, nil)
		pull.End(Done, nil)
		shows(t, s, `
✓ pull debian:12  45.6MB                                        15.2s
`)
	})
}

func TestTTYShowsAProgressBar(t *testing.T) {
	onScreen(t, 60, 24, func(t *testing.T, s *screen, tty *TTY) {
		w := NewReporter(tty).Start(Task{Name: "RUN curl"}).Writer(nil)
		w.Write([]byte(" 10%\r 50%\r 60"))
		shows(t, s, "\n> RUN curl  50%                                        0.1s\n")
		w.Write([]byte("%\n\n"))
		shows(t, s, "\n> RUN curl  60%                                        0.2s\n")
	})
}

func TestTTYKeepsToTheScreen(t *testing.T) {
	onScreen(t, 40, 5, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		r.Start(Task{Name: "layer", Detail: true})
		var tasks []*Running
		for n := range 6 {
			tasks = append(tasks, r.Start(Task{Name: fmt.Sprintf("RUN step-%d", n)}))
			tasks[n].Print("日本語の出力がとても長いので切られる\x1b[2J\x1b]0;title\a")
		}
		shows(t, s, `
> RUN step-0  日本語の出力がと...  0.1s
> RUN step-1  日本語の出力がと...  0.1s
> RUN step-2  日本語の出力がと...  0.1s
  and 4 more
`)
		for _, task := range tasks[1:] {
			task.End(Done, nil)
		}
		shows(t, s, `
✓ RUN step-1                       0.1s
✓ RUN step-2                       0.1s
✓ RUN step-3                       0.1s
✓ RUN step-4                       0.1s
✓ RUN step-5                       0.1s
>   layer                          0.2s
> RUN step-0  日本語の出力がと...  0.2s
`)
	})
}

func TestTTYOnAVeryNarrowScreen(t *testing.T) {
	for width := 3; width < 30; width++ { // the screen fails the test on a line that is too wide
		onScreen(t, width, 3, func(t *testing.T, s *screen, tty *TTY) {
			task := NewReporter(tty).Start(Task{Stage: "構築", Step: 1, Steps: 2, Name: "RUN make world"})
			task.Print("output 出力")
			time.Sleep(time.Second)
			task.End(Done, errors.New("exit status 1"))
		})
	}
}

func TestTTYShowsWarningsWhole(t *testing.T) {
	onScreen(t, 40, 24, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		r.Start(Task{Name: "RUN make"})
		shows(t, s, "\n> RUN make                         0.1s\n")
		r.Warn("a warning may be longer than the screen is wide")
		shows(t, s, `
! a warning may be longer than the scree
n is wide
> RUN make                         0.2s
`)
	})
}

func TestTTYSurvivesAResize(t *testing.T) {
	onScreen(t, 60, 24, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		r.Start(Task{Name: "FROM debian"}).End(Done, nil)
		r.Start(Task{Name: "RUN make"}).Print("cc -O2 -o hello hello.c")
		shows(t, s, `
✓ FROM debian                                          0.0s
> RUN make  cc -O2 -o hello hello.c                    0.1s
`)
		s.narrow(40) // what was drawn takes two rows now
		time.Sleep(redrawEvery)
		synctest.Wait()
		if got := strings.Count(s.text(), "> RUN make"); got != 1 {
			t.Errorf("the running step is shown %d times:\n%s", got, s.text())
		}
		if !strings.Contains(s.text(), "✓ FROM debian") {
			t.Errorf("what was done is gone:\n%s", s.text())
		}
	})
}

func TestTTYDrawsAtMostTenTimesASecond(t *testing.T) {
	onScreen(t, 60, 24, func(t *testing.T, s *screen, tty *TTY) {
		r := NewReporter(tty)
		task := r.Start(Task{Name: "RUN yes"})
		for range 1000 { // one second of a line a millisecond
			time.Sleep(time.Millisecond)
			task.Print("y")
		}
		synctest.Wait()
		if s.frames > 10 {
			t.Errorf("%d frames in a second", s.frames)
		}
	})
}

func TestTTYGivesTheCursorBackAtAnInterrupt(t *testing.T) {
	onScreen(t, 60, 24, func(t *testing.T, s *screen, tty *TTY) {
		NewReporter(tty).Start(Task{Name: "RUN sleep"})
		time.Sleep(time.Second)
		tty.Release()
		time.Sleep(time.Second)
		synctest.Wait()
		if s.hidden {
			t.Error("the cursor is hidden after the interrupt")
		}
		if !strings.Contains(s.text(), "2.0s") {
			t.Errorf("nothing is drawn after the interrupt:\n%s", s.text())
		}
	})
}

func TestColours(t *testing.T) {
	p := &painter{color: true}
	got := p.render(line{mark: "✗", tone: toneBad, text: "RUN x", note: "exit status 1", right: "1.0s"}, 40)
	want := "\x1b[31m✗\x1b[m \x1b[31mRUN x\x1b[m  \x1b[2mexit status 1\x1b[m" + strings.Repeat(" ", 13) + "1.0s"
	if got != want {
		t.Errorf("render: %q, want %q", got, want)
	}
}
