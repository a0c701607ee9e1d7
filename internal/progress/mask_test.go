package progress

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestMaskHidesSecrets(t *testing.T) {
	m := NewMask("hunter2", "hunter2000", "first line\nsecond line\r\n", "", "abc")
	for in, want := range map[string]string{
		"nothing here":                     "nothing here",
		"password=hunter2!":                "password=***!",
		"hunter2000":                       "***", // the longer one, whole
		"a first line":                     "a ***",
		"second line":                      "***",
		"abc":                              "abc", // too short to hide
		"xx hunt" + cutNote(9):             "xx ***" + cutNote(9),
		"xx hun" + cutNote(9):              "xx hun" + cutNote(9),
		"hunter2 hunter" + cutNote(9):      "*** ***" + cutNote(9),
		"hunter2 said ... [hunter2] hunte": "*** said ... [***] hunte",
	} {
		if got := m.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskedSinkShowsNoSecret(t *testing.T) {
	const secret = "s3cr3t-value"
	var out bytes.Buffer
	reporter := NewReporter(NewMask(secret).Sink(NewJSON(&out)))
	task := reporter.Start(Task{Name: "RUN curl -u " + secret})
	task.Print("token: " + secret)
	task.Warn("the token " + secret + " is old")
	w := task.Writer(nil)
	w.Write([]byte("at 1% " + secret + "\rdone " + secret))
	w.Close()
	task.End(Done, errors.New("refused "+secret))
	reporter.Warn(secret)
	if strings.Contains(out.String(), secret) {
		t.Errorf("shown:\n%s", &out)
	}
	if n := strings.Count(out.String(), masked); n != 6 {
		t.Errorf("%d places masked, want 6:\n%s", n, &out)
	}
}
