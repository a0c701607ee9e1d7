package step_test

import (
	"archive/tar"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kiln-build/kiln/internal/plan"
)

// site serves a few files; flaky answers 503 to the first request.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	var asked atomic.Int32
	packed := archive(t, "x", tar.Header{Name: "f", Mode: 0o644})
	mux := http.NewServeMux()
	mux.HandleFunc("/dir/f.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", old.UTC().Format(http.TimeFormat))
		fmt.Fprint(w, "hello")
	})
	mux.HandleFunc("/undated", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "undated") })
	mux.HandleFunc("/t.tar", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, packed) })
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at last")
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > 1 {
			fmt.Fprint(w, "0123456789")
			return
		}
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "01234")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestAddURL(t *testing.T) {
	yes := true
	tests := []struct {
		name, url, want string
		op              plan.Copy
	}{
		{"to a name", "/dir/f.txt", "n=hello 600 0:0", plan.Copy{Dest: "/n"}},
		{"to a directory", "/dir/f.txt?x=y", "n/\nn/f.txt=hello 600 0:0", plan.Copy{Dest: "/n/"}},
		{"with flags", "/dir/f.txt", "n=hello 755 1:2", plan.Copy{Dest: "/n", Chmod: "755", Chown: "1:2"}},
		{"checksum", "/dir/f.txt", "n=hello 600 0:0", plan.Copy{Dest: "/n", Checksum: digest.FromString("hello").String()}},
		{"an archive is not unpacked", "/t.tar", "n=" + archive(t, "x", tar.Header{Name: "f", Mode: 0o644}) + " 600 0:0", plan.Copy{Dest: "/n"}},
		{"unless --unpack says so", "/t.tar", "n/\nn/f=x", plan.Copy{Dest: "/n/", Unpack: &yes}},
		{"tries again", "/flaky", "n=at last 600 0:0", plan.Copy{Dest: "/n"}},
		{"tries again when the connection breaks", "/cut", "n=0123456789 600 0:0", plan.Copy{Dest: "/n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.op.Sources = []plan.Source{{URL: site(t).URL + test.url}}
			if got := add(t, "", test.op); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAddURLErrors(t *testing.T) {
	server := site(t)
	wrong := digest.FromString("other").String()
	for _, test := range []struct {
		url, checksum, want string
	}{
		{server.URL + "/gone", "", "server answers 404 Not Found"},
		{server.URL + "/undated", wrong, "digest mismatch: " + digest.FromString("undated").String() + ", want " + wrong},
		{"http://me:secret@127.0.0.1:1/x", "", "connection refused"},
	} {
		if strings.Contains(test.url, ":1/") && testing.Short() {
			continue // it is tried four times
		}
		got := add(t, "", plan.Copy{Sources: []plan.Source{{URL: test.url}}, Dest: "/n", Checksum: test.checksum})
		if !strings.Contains(got, test.want) || strings.Contains(got, "secret") {
			t.Errorf("%s: %q, want %q", test.url, got, test.want)
		}
	}
}

func TestAddURLTimes(t *testing.T) {
	server := site(t)
	for path, want := range map[string]time.Time{"/dir/f.txt": old, "/undated": time.Unix(0, 0)} {
		op := &plan.Copy{Add: true, Sources: []plan.Source{{URL: server.URL + path}}, Dest: "/n"}
		delta, err := copier(t).Copy(t.Context(), op, nil, view())
		if err != nil {
			t.Fatal(err)
		}
		if got := delta.Entries()[0].ModTime; !got.Equal(want) {
			t.Errorf("%s has the time %v, want %v", path, got, want)
		}
	}
}

func TestAddURLDownloadsOnce(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "version ", asked.Add(1))
	}))
	defer server.Close()
	c := copier(t)
	op := &plan.Copy{Add: true, Sources: []plan.Source{{URL: server.URL + "/f"}}, Dest: "/n"}
	if _, err := c.Digest(t.Context(), op, nil); err != nil {
		t.Fatal(err)
	}
	delta, err := c.Copy(t.Context(), op, nil, view())
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(t, delta)[0]; got != "n=version 1 600 0:0" || asked.Load() != 1 {
		t.Errorf("got %q after %d requests, want what the key was made of", got, asked.Load())
	}
}
