package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"
)

// retries says how often a request is made again, and how long to wait before.
type retries struct {
	attempts   int           // in all
	first, max time.Duration // waits double from first up to max
	// told is called before each wait.
	told func(what string, err error, wait time.Duration)
}

// maxRetryAfter is how long a registry may ask to wait. Some answer that hours
// have to pass; that is better said at once.
const maxRetryAfter = 2 * time.Minute

// do calls try until it succeeds, fails for good or has failed too often.
func (r retries) do(ctx context.Context, what string, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait, again := r.wait(attempt, err)
		if !again {
			return err
		}
		r.told(what, err, wait)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// wait returns how long to wait after the attempt failed with err, and whether
// to try again at all.
func (r retries) wait(attempt int, err error) (time.Duration, bool) {
	if attempt >= r.attempts || !transient(err) {
		return 0, false
	}
	wait := min(r.max, r.first<<(attempt-1))
	// Builds that were refused together must not come back together.
	wait = wait/2 + rand.N(wait/2+1)
	var refused *Error
	if errors.As(err, &refused) && refused.retryAfter > 0 {
		return max(wait, refused.retryAfter), refused.retryAfter <= maxRetryAfter
	}
	return wait, true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// transient reports whether what failed with err may well succeed next time.
func transient(err error) bool {
	var refused *Error
	if errors.As(err, &refused) {
		return slices.Contains([]int{
			http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		}, refused.Status)
	}
	var final *finalError
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.As(err, &final), errors.As(err, &certificate), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, &name):
		return !name.IsNotFound
	}
	return true // a connection that could not be made or broke
}

// finalError is an error that trying again does not help against.
type finalError struct{ error }

func final(format string, args ...any) error { return &finalError{fmt.Errorf(format, args...)} }

func (e *finalError) Unwrap() error { return e.error }
