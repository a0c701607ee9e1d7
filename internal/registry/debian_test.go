package registry_test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/kiln-build/kiln/internal/registry"
	"github.com/kiln-build/kiln/internal/testenv"
)

// TestDebianRegistry pushes to and pulls from the registry that Debian packages,
// which is years older than the library the other tests run.
func TestDebianRegistry(t *testing.T) {
	addr := startDebianRegistry(t)
	s := openStore(t)
	c := newClient(t, s, registry.Options{})
	base := imageOf(t, write(t, s, noise(2_000_000)))
	if err := push(t, c, base, addr+"/base:1"); err != nil {
		t.Fatal(err)
	}
	fresh := openStore(t)
	c = newClient(t, fresh, registry.Options{})
	pulled := resolve(t, c, addr+"/base:1")
	if _, err := readBlob(t.Context(), pulled.Layers[0]); err != nil {
		t.Error(err)
	}
	app := imageOf(t, append(pulled.Layers, write(t, fresh, "app"))...)
	if err := push(t, c, app, addr+"/team/app:1", addr+"/team/app:2"); err != nil {
		t.Fatal(err)
	}
	checkImage(t, &testenv.RegistryServer{Addr: addr}, "team/app:2", app)
}

func startDebianRegistry(t *testing.T) string {
	t.Helper()
	program := testenv.RequireTool(t, "docker-registry")
	addr := freePort(t)
	config := writeFile(t, "config.yml", fmt.Sprintf(`version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: %s}
`, t.TempDir(), addr))
	cmd := exec.CommandContext(t.Context(), program, "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed when the test's context ends
	for range 500 {
		if resp, err := http.Get("http://" + addr + "/v2/"); err == nil {
			_ = resp.Body.Close()
			return addr
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the registry does not answer")
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
