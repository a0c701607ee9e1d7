package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A sealed file ends in the sha256 of what is before it. It tells a file that a
// power cut has cut short, which counts as not there.

// readSealed returns the content of a sealed file; the error is fs.ErrNotExist
// if there is none. One that is broken is removed and counts as none.
func readSealed(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if content, ok := unseal(data); ok {
		return content, nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove damaged file: %w", err)
	}
	return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
}

func unseal(data []byte) (content []byte, ok bool) {
	at := len(data) - sha256.Size
	if at < 0 {
		return nil, false
	}
	sum := sha256.Sum256(data[:at])
	return data[:at], bytes.Equal(sum[:], data[at:])
}

// writeSealed makes a sealed file appear at path, in place of what was there.
func (s *Store) writeSealed(path string, content []byte) (err error) {
	f, err := os.CreateTemp(s.session.path, "file-")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	_, err = f.Write(content)
	if err == nil {
		_, err = f.Write(sum[:])
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
