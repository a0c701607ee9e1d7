package progress

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheVerdictFollowsTheError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Verdict
	}{
		{nil, Cached},
		{errors.New("no space"), Failed},
		{fmt.Errorf("run: %w", context.Canceled), Canceled},
	} {
		sink := &recorder{}
		NewReporter(sink).Start(Task{Name: "x"}).End(Cached, c.err)
		if got := sink.events[1].Verdict; got != c.want {
			t.Errorf("End(Cached, %v): verdict %q, want %q", c.err, got, c.want)
		}
	}
}

func TestAdvanceDropsWhatNobodyCanRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		task := NewReporter(sink).Start(Task{Name: "pull"})
		const total = 1000
		for n := int64(1); n <= total; n++ { // one second of copying
			time.Sleep(time.Millisecond)
			task.Advance(n, total)
		}
		task.End(Done, nil)
		var got []int64
		for _, e := range sink.events {
			if e.Kind == Advanced {
				got = append(got, e.Current)
			}
		}
		// The first, one every 100 ms, and the last.
		want := []int64{1, 101, 201, 301, 401, 501, 601, 701, 801, 901, 1000}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("amounts %v, want %v", got, want)
		}
	})
}
