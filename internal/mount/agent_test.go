package mount_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kiln-build/kiln/internal/mount"
)

// keyFile writes a new private key and returns its path and public half.
func keyFile(t *testing.T) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

// forward returns a client of a forwarded agent that ends with the test.
func forward(t *testing.T, source mount.Agent) agent.ExtendedAgent {
	t.Helper()
	f := &mount.Forwarder{
		Agents:  map[string]mount.Agent{"default": source},
		Scratch: func() (string, error) { return os.MkdirTemp("", "kiln-agent-") },
	}
	owner := mount.Owner{Mode: 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	socket, release, ok, err := f.Forward(t.Context(), "default", owner)
	if err != nil || !ok {
		t.Fatalf("forward = %v, %v", ok, err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Errorf("release: %v", err)
		}
		if _, err := os.Stat(filepath.Dir(socket)); err == nil {
			t.Errorf("%s is left behind", socket)
		}
	})
	return agent.NewClient(conn)
}

func TestForwardedAgentHasTheKeysAndKeepsThem(t *testing.T) {
	path, key := keyFile(t)
	keys, err := mount.LoadKeys([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	client := forward(t, keys)
	list, err := client.List()
	if err != nil || len(list) != 1 || string(list[0].Marshal()) != string(key.Marshal()) {
		t.Fatalf("keys = %v, %v; want the one loaded", list, err)
	}
	signature, err := client.Sign(key, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Verify([]byte("data"), signature); err != nil {
		t.Errorf("signature: %v", err)
	}
	if err := client.RemoveAll(); err == nil {
		t.Error("a step removed the build's keys")
	}
}

func TestForwardedSocketSpeaksToTheUsersAgent(t *testing.T) {
	path, key := keyFile(t)
	keys, err := mount.LoadKeys([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "users-agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go keys.Serve(conn)
		}
	}()
	list, err := forward(t, mount.AgentSocket(socket)).List()
	if err != nil || len(list) != 1 || string(list[0].Marshal()) != string(key.Marshal()) {
		t.Errorf("keys = %v, %v; want those of the user's agent", list, err)
	}
}

func TestUnknownAgentIsNotThere(t *testing.T) {
	f := &mount.Forwarder{}
	if _, _, ok, err := f.Forward(t.Context(), "github", mount.Owner{}); ok || err != nil {
		t.Errorf("forward of an unknown agent = %v, %v; want not there", ok, err)
	}
}
