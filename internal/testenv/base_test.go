package testenv_test

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kiln-build/kiln/internal/testenv"
)

func TestBusyboxBaseHoldsShellUsersAndTmp(t *testing.T) {
	r := testenv.Registry(t)
	if ref := testenv.BusyboxBase(t, r); ref != r.Ref("busybox:base") {
		t.Errorf("pushed as %s", ref)
	}
	entries := list(t, r.Pull(t, "busybox:base"))
	if h := entries["bin/sh"]; h == nil || h.Linkname != "busybox" {
		t.Errorf("bin/sh is %+v, want a link to busybox", h)
	}
	if h := entries["bin/busybox"]; h == nil || h.Mode != 0o755 {
		t.Errorf("bin/busybox is %+v, want an executable", h)
	}
	if h := entries["tmp"]; h == nil || h.Mode != 0o1777 {
		t.Errorf("tmp is %+v, want mode 1777", h)
	}
	if h := entries["etc/passwd"]; h == nil || h.Size == 0 {
		t.Errorf("etc/passwd is %+v, want users", h)
	}
}

func TestBusyboxLayerIsTheSameEachTime(t *testing.T) {
	first, err := testenv.BusyboxLayer(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := testenv.BusyboxLayer(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("digest %s, then %s", first, second)
	}
}

func TestDebianBaseHasAptAndMirrors(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a Debian, which takes half a minute the first time")
	}
	r := testenv.Registry(t)
	testenv.DebianBase(t, r)
	entries := list(t, r.Pull(t, "debian:base"))
	if entries["usr/bin/apt-get"] == nil {
		t.Error("there is no apt-get")
	}
	sources := false
	for path, h := range entries {
		if strings.HasPrefix(path, "etc/apt/sources.list") && h.Size > 0 {
			sources = true
		}
		if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			t.Errorf("%s is a device, which ordinary users cannot unpack", path)
		}
	}
	if !sources {
		t.Error("apt has no sources")
	}
}

// list returns the entries of an image by path, without leading "./" and
// trailing "/".
func list(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	entries := make(map[string]*tar.Header)
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		entries[strings.Trim(strings.TrimPrefix(h.Name, "."), "/")] = h
	}
}

// drain reads a stream to its end and closes it.
func drain(r io.ReadCloser) error {
	_, err := io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}
