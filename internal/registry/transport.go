package registry

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// idleConnections is how many connections to one host are kept for the
	// next request.
	idleConnections = 16
	// socketBuffer is how much is read and written at once.
	socketBuffer = 128 << 10
)

// newTransport returns the transport for registries that are verified, or for
// those that are not.
//
// It speaks HTTP/1.1 only: with HTTP/2 all blobs of a host share one
// connection and its flow-control window, which is many times slower on lines
// with some latency.
func newTransport(insecure bool) *http.Transport {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   20 * time.Second,
		MaxIdleConns:          4 * idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        socketBuffer,
		WriteBufferSize:       socketBuffer,
		// Blobs are compressed already, and digests are over what is sent.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for with --insecure-registry
	}
	return t
}

// hosts picks the transport for each request by its host.
type hosts struct {
	verified, unverified *http.Transport
	insecure             []string // hosts, as in --insecure-registry
	known                func(host string) bool
}

// RoundTrip implements http.RoundTripper. go-containerregistry also tries
// plain HTTP with hosts of private networks; credentials must not go there
// without somebody having said so.
func (h *hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	if h.allowed(host) {
		return h.unverified.RoundTrip(req)
	}
	if req.URL.Scheme == "http" && h.known(host) {
		return nil, final("%s is not known as an insecure registry", host)
	}
	return h.verified.RoundTrip(req)
}

// allowed reports whether host may be spoken to without verification: it was
// named, or it is this machine, as with docker.
func (h *hosts) allowed(host string) bool {
	if slices.Contains(h.insecure, host) {
		return true
	}
	bare := host
	if b, _, err := net.SplitHostPort(host); err == nil {
		bare = b
	}
	if bare == "localhost" || strings.HasSuffix(bare, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(bare, "[]"))
	return ip != nil && ip.IsLoopback()
}
