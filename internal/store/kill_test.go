package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// lastFile is written into a layer's directory when it is complete.
const lastFile = "last"

// TestWriterToBeKilled is the process that TestKilledWriters kills.
func TestWriterToBeKilled(t *testing.T) {
	dir := os.Getenv("STORE_WRITER_DIR")
	if dir == "" {
		t.Skip("only run by TestKilledWriters")
	}
	if err := writeForever(dir); err != nil {
		t.Fatal(err)
	}
}

// writeForever fills the store and prints a line for everything it did.
func writeForever(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		content := make([]byte, mathrand.IntN(300_000))
		_, _ = rand.Read(content) // never fails
		d := digest.FromBytes(content)
		if err := errors.Join(
			writeBlob(s, content),
			s.PutRecord("record", content[:len(content)/100]),
			writeTree(s, d),
		); err != nil {
			return err
		}
		fmt.Println("done", i)
	}
}

func writeBlob(s *Store, content []byte) (err error) {
	b, err := s.Create(context.Background())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for part := range slices.Chunk(content, 4096) {
		if _, err := b.Write(part); err != nil {
			return err
		}
	}
	_, err = b.Commit(digest.FromBytes(content))
	return err
}

func writeTree(s *Store, id digest.Digest) error {
	dir, err := s.NewLayerDir()
	if err != nil {
		return err
	}
	for _, name := range []string{"a", "b", "c", lastFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			return err
		}
	}
	_, err = s.KeepLayerDir(dir, id)
	return err
}

func TestKilledWriters(t *testing.T) {
	dir := t.TempDir()
	for range 25 {
		writeAndKill(t, dir)
	}
	s := openStore(t, dir)
	<-s.cleaned
	checkBlobs(t, s)
	checkTrees(t, s)
	if _, err := s.Record("record"); err != nil {
		t.Errorf("record after kills: %v", err)
	}
	if sessions := names(filepath.Join(dir, tmpFolder)); len(sessions) != 1 {
		t.Errorf("temporary folders of dead processes are left: %v", sessions)
	}
}

// writeAndKill starts a writer and kills it at some moment of its work.
func writeAndKill(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriterToBeKilled$")
	cmd.Env = append(os.Environ(), "STORE_WRITER_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 1 + mathrand.IntN(3) {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "done") {
			t.Errorf("writer says %q, %v", lines.Text(), lines.Err())
		}
	}
	time.Sleep(time.Duration(mathrand.IntN(3000)) * time.Microsecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // "signal: killed"
}

func checkBlobs(t *testing.T, s *Store) {
	t.Helper()
	blobs := names(filepath.Join(s.dir, blobsFolder, "sha256"))
	if len(blobs) == 0 {
		t.Error("the writers have written no blob")
	}
	for _, name := range blobs {
		r, _, err := s.OpenBlob(digest.NewDigestFromEncoded(digest.SHA256, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func checkTrees(t *testing.T, s *Store) {
	t.Helper()
	kept := keptTrees(s.generation.path)
	if len(kept) == 0 {
		t.Error("the writers have kept no layer")
	}
	for _, name := range names(s.generation.path) {
		if !strings.HasPrefix(name, "t-") {
			continue
		}
		if !kept[name] {
			t.Errorf("%s is left and no layer", name)
		}
		if _, err := os.Stat(filepath.Join(s.generation.path, name, lastFile)); err != nil {
			t.Errorf("layer is not complete: %v", err)
		}
	}
}

func TestFoldersOfLivingProcessesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	living := openStore(t, dir)
	scratch, err := living.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := living.NewLayerDir()
	if err != nil {
		t.Fatal(err)
	}
	other := openStore(t, dir)
	<-other.cleaned
	for _, path := range []string{scratch, tree} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("removed by another process: %v", err)
		}
	}
}
