package testenv

import (
	"fmt"
	"net/http"
	"strings"
)

// Kind is what a request asks a registry for, in the words of the OCI
// distribution specification.
type Kind string

const (
	// Ping asks whether there is a registry, and what it wants as credentials.
	Ping Kind = "ping"
	// ManifestHead, ManifestGet and ManifestPut ask for, read and push a manifest.
	ManifestHead Kind = "manifest-head"
	ManifestGet  Kind = "manifest-get"
	ManifestPut  Kind = "manifest-put"
	// BlobHead and BlobGet ask for and read a blob.
	BlobHead Kind = "blob-head"
	BlobGet  Kind = "blob-get"
	// BlobMount asks for a blob of another repository; status 201 says that it
	// was given, 202 that it is to be uploaded.
	BlobMount Kind = "blob-mount"
	// UploadStart, UploadChunk and UploadEnd are the parts of uploading a blob.
	UploadStart Kind = "upload-start"
	UploadChunk Kind = "upload-chunk"
	UploadEnd   Kind = "upload-end"
	// Other is the rest: tags, the catalogue, referrers, deleting.
	Other Kind = "other"
)

// Request is one request to a registry and how it was answered.
type Request struct {
	Kind Kind
	// Repository is "" for Ping and Other.
	Repository string
	// Reference is the tag or digest of a manifest, the digest of a blob where
	// the request names one.
	Reference string
	// Method and Path are those of HTTP.
	Method, Path string
	// Status is that of the answer.
	Status int
	// Received and Sent count the bytes of the bodies that the registry read
	// and wrote.
	Received, Sent int64
}

// String returns the request as a line for a test's message.
func (r Request) String() string {
	return fmt.Sprintf("%s %s -> %d (%s, received %d, sent %d)", r.Method, r.Path, r.Status, r.Kind, r.Received, r.Sent)
}

// classify tells what a request is from its method and path.
func classify(q *http.Request, status int) Request {
	r := Request{Kind: Other, Method: q.Method, Path: q.URL.Path, Status: status}
	path, ok := strings.CutPrefix(q.URL.Path, "/v2/")
	if !ok {
		return r
	}
	if path == "" {
		r.Kind = Ping
		return r
	}
	// A repository's name may itself hold "blobs" or "manifests": the last one counts.
	if i := strings.LastIndex(path, "/blobs/uploads/"); i >= 0 {
		r.Repository = path[:i]
		r.Kind, r.Reference = uploadKind(q)
	} else if i := strings.LastIndex(path, "/blobs/"); i >= 0 {
		r.Repository, r.Reference = path[:i], path[i+len("/blobs/"):]
		r.Kind = kindOf(q.Method, map[string]Kind{http.MethodHead: BlobHead, http.MethodGet: BlobGet})
	} else if i := strings.LastIndex(path, "/manifests/"); i >= 0 {
		r.Repository, r.Reference = path[:i], path[i+len("/manifests/"):]
		r.Kind = kindOf(q.Method, map[string]Kind{
			http.MethodHead: ManifestHead, http.MethodGet: ManifestGet, http.MethodPut: ManifestPut,
		})
	}
	return r
}

// uploadKind tells the parts of an upload apart, and which blob they name.
func uploadKind(q *http.Request) (Kind, string) {
	query := q.URL.Query()
	if mount := query.Get("mount"); mount != "" && q.Method == http.MethodPost {
		return BlobMount, mount
	}
	kind := kindOf(q.Method, map[string]Kind{
		http.MethodPost: UploadStart, http.MethodPatch: UploadChunk, http.MethodPut: UploadEnd,
	})
	return kind, query.Get("digest")
}

func kindOf(method string, kinds map[string]Kind) Kind {
	if kind, known := kinds[method]; known {
		return kind
	}
	return Other
}
