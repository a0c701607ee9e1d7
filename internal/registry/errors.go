package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What a refusal means, for errors.Is.
var (
	// ErrNotFound means that there is no such repository, tag or blob.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized means that the registry wants other credentials.
	ErrUnauthorized = errors.New("unauthorized")
)

// Error is a registry's refusal.
type Error struct {
	// Op says what was asked for: "get manifest 1.2", "upload sha256:…".
	Op string
	// Host and Repository say of whom.
	Host, Repository string
	// Status is the HTTP status.
	Status int
	// Code and Message are the registry's own words, "" if it has none.
	Code, Message string
	// Credentials says where the credentials that were used came from, and
	// never what they are.
	Credentials string

	retryAfter time.Duration
}

// Error tells all but the hint.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s/%s: %d %s", e.Op, e.Host, e.Repository, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	if e.denied() {
		fmt.Fprintf(&b, " (%s)", e.Credentials)
	}
	return b.String()
}

// Is makes e ErrNotFound or ErrUnauthorized.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnauthorized:
		return e.denied()
	}
	return false
}

// Hint says what to do next.
func (e *Error) Hint() string {
	switch {
	case e.denied() && e.Credentials == noCredentials:
		return fmt.Sprintf("log in: docker login %s", e.Host)
	case e.Status == http.StatusUnauthorized:
		return fmt.Sprintf("the credentials may have expired, log in again: docker login %s", e.Host)
	case e.Status == http.StatusForbidden:
		return fmt.Sprintf("use an account that has the right to do that with %s/%s", e.Host, e.Repository)
	case e.Status == http.StatusNotFound:
		return "check the name and the tag; some registries answer so, too, when credentials are missing"
	case e.Status == http.StatusTooManyRequests:
		return "the registry limits how often it is asked: log in, or use a mirror"
	}
	return ""
}

func (e *Error) denied() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// maxErrorBody bounds what is read of an answer that refuses.
const maxErrorBody = 64 << 10

// refusal returns nil if the answer's status is one of accepted, else what the
// answer says. The body of a refusal is read.
func refusal(resp *http.Response, accepted ...int) *Error {
	if slices.Contains(accepted, resp.StatusCode) {
		return nil
	}
	e := &Error{Status: resp.StatusCode, retryAfter: retryAfter(resp.Header, time.Now())}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err == nil {
		e.Code, e.Message = message(resp.Header, body)
	}
	return e
}

// message finds the registry's own words in the body of an answer: the form of
// the OCI distribution specification ("Error Codes"), or plain text.
func message(header http.Header, body []byte) (code, text string) {
	var answer struct {
		Errors []transport.Diagnostic `json:"errors"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0 {
		return words(answer.Errors)
	}
	text = strings.Join(strings.Fields(string(body)), " ")
	if strings.HasPrefix(text, "<") || strings.Contains(header.Get("Content-Type"), "html") {
		return "", "" // the page of a proxy
	}
	const enough = 300
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "..."
	}
	return "", text
}

func words(list []transport.Diagnostic) (code, text string) {
	var texts []string
	for _, d := range list {
		words := d.Message
		if words == "" {
			words = string(d.Code)
		}
		texts = append(texts, words)
	}
	return string(list[0].Code), strings.Join(texts, "; ")
}

// retryAfter reads the header of that name, which holds seconds or a date; 0 is
// none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// fromTransport turns the error of go-containerregistry, which talks to token
// servers for us, into an Error; it returns nil for others.
func fromTransport(err error) *Error {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return nil
	}
	e := &Error{Status: refused.StatusCode}
	if len(refused.Errors) > 0 {
		e.Code, e.Message = words(refused.Errors)
	}
	return e
}
