package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func testRetries() retries {
	return retries{attempts: 4, first: time.Millisecond, max: 2 * time.Millisecond, told: func(string, error, time.Duration) {}}
}

func TestOnlyTroubleThatMayPassIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int // attempts
	}{
		"connection lost":     {io.ErrUnexpectedEOF, 4},
		"connection refused":  {&net.OpError{Op: "dial", Err: errors.New("refused")}, 4},
		"overloaded":          {&Error{Status: http.StatusServiceUnavailable}, 4},
		"overloaded, wrapped": {fmt.Errorf("pull: %w", &Error{Status: http.StatusBadGateway}), 4},
		"not found":           {&Error{Status: http.StatusNotFound}, 1},
		"forbidden":           {&Error{Status: http.StatusForbidden}, 1},
		"no such host":        {&net.DNSError{IsNotFound: true}, 1},
		"no name server":      {&net.DNSError{IsTimeout: true}, 4},
		"certificate":         {&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, 1},
		"limited for hours":   {&Error{Status: http.StatusTooManyRequests, retryAfter: 6 * time.Hour}, 1},
	} {
		attempts := 0
		err := testRetries().do(t.Context(), "try", func() error {
			attempts++
			return c.err
		})
		if !errors.Is(err, c.err) || attempts != c.want {
			t.Errorf("%s: %d attempts and %v, want %d", name, attempts, err, c.want)
		}
	}
}

func TestRetriesEndWithSuccess(t *testing.T) {
	attempts := 0
	err := testRetries().do(t.Context(), "try", func() error {
		if attempts++; attempts < 3 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if err != nil || attempts != 3 {
		t.Errorf("%d attempts and %v, want 3", attempts, err)
	}
}

func TestRetriesEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	err := testRetries().do(ctx, "try", func() error {
		cancel(interrupted)
		return io.ErrUnexpectedEOF
	})
	if !errors.Is(err, interrupted) {
		t.Errorf("error = %v, want the cause of the end", err)
	}
}

func TestWaitsGrowAndKeepToRetryAfter(t *testing.T) {
	r := retries{attempts: 10, first: time.Second, max: 10 * time.Second}
	for attempt, bounds := range map[int][2]time.Duration{
		1: {500 * time.Millisecond, time.Second},
		2: {time.Second, 2 * time.Second},
		3: {2 * time.Second, 4 * time.Second},
		9: {5 * time.Second, 10 * time.Second},
	} {
		wait, again := r.wait(attempt, io.ErrUnexpectedEOF)
		if !again || wait < bounds[0] || wait > bounds[1] {
			t.Errorf("wait after attempt %d is %s, want %s to %s", attempt, wait, bounds[0], bounds[1])
		}
	}
	if wait, _ := r.wait(1, &Error{Status: http.StatusTooManyRequests, retryAfter: time.Minute}); wait != time.Minute {
		t.Errorf("wait is %s where the registry asks for a minute", wait)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute,
		"Thu, 01 Jan 2015 00:00:00 GMT": 0,
		"soon":                          0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q is %s, want %s", value, got, want)
		}
	}
}

func TestMessageOfARefusal(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for name, c := range map[string]struct {
		header     http.Header
		body       string
		code, text string
	}{
		"as specified": {nil, `{"errors":[{"code":"DENIED","message":"no"},{"code":"X","message":"never"}]}`, "DENIED", "no; never"},
		"only a code":  {nil, `{"errors":[{"code":"DENIED"}]}`, "DENIED", "DENIED"},
		"plain":        {nil, "try\n later ", "", "try later"},
		"a page":       {html, "nginx", "", ""},
		"also a page":  {nil, "<html>502</html>", "", ""},
		"nothing":      {nil, "", "", ""},
	} {
		if code, text := message(c.header, []byte(c.body)); code != c.code || text != c.text {
			t.Errorf("%s: %q, %q; want %q, %q", name, code, text, c.code, c.text)
		}
	}
}
