package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Forwarder gives steps a socket of their own to an SSH agent of the build: the
// user's running agent, or one in kiln's memory that holds keys read from
// files. The agent's own socket is never shown to a step.
type Forwarder struct {
	// Agents are the agents by the id given to --ssh.
	Agents map[string]Agent
	// Scratch makes an empty directory.
	Scratch func() (string, error)
}

// Agent answers one connection of an SSH client until it is closed.
type Agent interface {
	Serve(conn net.Conn) error
}

// AgentSocket is the path of a running agent's socket.
type AgentSocket string

// Serve passes on what is said on conn.
func (path AgentSocket) Serve(conn net.Conn) error {
	upstream, err := net.Dial("unix", string(path))
	if err != nil {
		return fmt.Errorf("connect to ssh agent: %w", err)
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		_, _ = io.Copy(upstream, conn) // a client that hangs up is the normal end
		_ = upstream.Close()
	})
	_, _ = io.Copy(conn, upstream)
	_ = conn.Close()
	passing.Wait()
	return nil
}

// Keys is an agent in memory. It answers with the keys it was made with; a step
// cannot add to them.
type Keys struct{ ring agent.Agent }

// LoadKeys returns an agent that holds the private keys in files (PEM, without
// passphrase).
func LoadKeys(files []string) (Keys, error) {
	ring := agent.NewKeyring()
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return Keys{}, fmt.Errorf("read ssh key: %w", err)
		}
		key, err := ssh.ParseRawPrivateKey(pem)
		if err != nil {
			return Keys{}, fmt.Errorf("parse ssh key %s: %w", file, err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: key, Comment: filepath.Base(file)}); err != nil {
			return Keys{}, fmt.Errorf("add ssh key %s: %w", file, err)
		}
	}
	return Keys{ring: ring}, nil
}

// Serve answers conn.
func (k Keys) Serve(conn net.Conn) error {
	err := agent.ServeAgent(readOnlyAgent{k.ring}, conn)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, conn.Close())
}

var errReadOnly = errors.New("this agent's keys cannot be changed")

// readOnlyAgent refuses what would change the keys for the steps after.
type readOnlyAgent struct{ agent.Agent }

func (readOnlyAgent) Add(agent.AddedKey) error   { return errReadOnly }
func (readOnlyAgent) Remove(ssh.PublicKey) error { return errReadOnly }
func (readOnlyAgent) RemoveAll() error           { return errReadOnly }
func (readOnlyAgent) Lock([]byte) error          { return errReadOnly }
func (readOnlyAgent) Unlock([]byte) error        { return errReadOnly }

// Forward listens on a new socket, with the owner and mode given, and answers
// with the agent id until release. ok is false if there is no such agent.
func (f *Forwarder) Forward(_ context.Context, id string, owner Owner) (socket string, release func() error, ok bool, err error) {
	source, ok := f.Agents[id]
	if !ok {
		return "", nil, false, nil
	}
	dir, err := f.Scratch()
	if err != nil {
		return "", nil, false, err
	}
	socket = filepath.Join(dir, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", nil, false, errors.Join(fmt.Errorf("listen for ssh clients: %w", err), os.RemoveAll(dir))
	}
	serving := serve(listener, source)
	release = func() error {
		err := listener.Close()
		serving.Wait()
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := errors.Join(os.Chown(socket, int(owner.UID), int(owner.GID)), chmod(socket, owner.Mode)); err != nil {
		return "", nil, false, errors.Join(err, release())
	}
	return socket, release, true, nil
}

// serve answers connections until the listener is closed; then it hangs up on
// those that are still open.
func serve(listener net.Listener, source Agent) *sync.WaitGroup {
	var serving sync.WaitGroup
	serving.Go(func() {
		var (
			mu   sync.Mutex
			open = make(map[net.Conn]bool)
		)
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			serving.Go(func() {
				_ = source.Serve(conn) // the client sees a failure as a closed connection
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
		mu.Lock()
		defer mu.Unlock()
		for conn := range open {
			_ = conn.Close()
		}
	})
	return &serving
}
