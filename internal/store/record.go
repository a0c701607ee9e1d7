package store

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Record returns the value of name. The error is fs.ErrNotExist if there is
// none.
func (s *Store) Record(name string) ([]byte, error) {
	path, err := s.recordPath(name)
	if err != nil {
		return nil, err
	}
	value, err := readSealed(path)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", name, err)
	}
	return value, nil
}

// PutRecord sets the value of name, all of it at once. A name has letters,
// digits, "-", "_", "." and does not begin with a dot.
func (s *Store) PutRecord(name string, value []byte) error {
	path, err := s.recordPath(name)
	if err != nil {
		return err
	}
	if err := s.writeSealed(path, value); err != nil {
		return fmt.Errorf("write record %s: %w", name, err)
	}
	return nil
}

// maxName leaves room in the 255 bytes that file systems allow.
const maxName = 200

func (s *Store) recordPath(name string) (string, error) {
	other := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	if name == "" || len(name) > maxName || name[0] == '.' || strings.ContainsFunc(name, other) {
		return "", fmt.Errorf("record name %q: %w", name, fs.ErrInvalid)
	}
	return filepath.Join(s.dir, recordsFolder, name), nil
}
