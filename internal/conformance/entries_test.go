package conformance_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// entryTime is the time of entries that do not name one.
var entryTime = time.Date(2002, 2, 2, 2, 2, 2, 0, time.UTC)

// writeTar makes a tar archive of entry commands, with names, links and modes
// just as they are written: also those that no sane program writes.
func writeTar(entries []command) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		header, content, err := parseEntry(e)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", e.line, err)
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("line %d: %w", e.line, err)
		}
		if _, err := io.Copy(w, content); err != nil {
			return nil, fmt.Errorf("line %d: %w", e.line, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// entryTypes are the words for kinds of entries, and the mode each has unless it
// says something else.
var entryTypes = map[string]struct {
	flag byte
	mode int64
}{
	"dir": {tar.TypeDir, 0o755}, "file": {tar.TypeReg, 0o644}, "symlink": {tar.TypeSymlink, 0o777},
	"link": {tar.TypeLink, 0o644}, "fifo": {tar.TypeFifo, 0o644},
	"char": {tar.TypeChar, 0o644}, "block": {tar.TypeBlock, 0o644},
}

func parseEntry(e command) (*tar.Header, io.Reader, error) {
	kind, known := entryTypes[e.name()]
	if !known {
		return nil, nil, fmt.Errorf("%q is no kind of entry", e.name())
	}
	h := &tar.Header{Typeflag: kind.flag, Name: e.arg(0), Mode: kind.mode, ModTime: entryTime}
	if h.Typeflag == tar.TypeDir && !strings.HasSuffix(h.Name, "/") {
		h.Name += "/"
	}
	words, text := e.words[2:], ""
	switch h.Typeflag {
	case tar.TypeSymlink, tar.TypeLink:
		h.Linkname, words = e.arg(1), e.words[3:]
	case tar.TypeChar, tar.TypeBlock:
		if _, err := fmt.Sscanf(e.arg(1), "%d:%d", &h.Devmajor, &h.Devminor); err != nil {
			return nil, nil, fmt.Errorf("read device number %q: %w", e.arg(1), err)
		}
		words = e.words[3:]
	}
	for _, word := range words {
		if err := parseAttribute(h, word, &text); err != nil {
			return nil, nil, err
		}
	}
	if h.Typeflag == tar.TypeReg && h.Size == 0 {
		h.Size = int64(len(text))
	}
	return h, io.LimitReader(io.MultiReader(strings.NewReader(text), zeros{}), h.Size), nil
}

// parseAttribute reads what follows an entry's name: key=value, a mode, an
// owner, or the text of the file.
func parseAttribute(h *tar.Header, word string, text *string) error {
	key, value, _ := strings.Cut(word, "=")
	attribute, isXattr := strings.CutPrefix(key, "xattr:")
	var err error
	switch {
	case isXattr:
		if h.PAXRecords == nil {
			h.PAXRecords = make(map[string]string)
		}
		h.PAXRecords["SCHILY.xattr."+attribute] = value
	case key == "time":
		h.ModTime, err = time.Parse(time.RFC3339Nano, value)
		if h.ModTime.Nanosecond() != 0 {
			h.Format = tar.FormatPAX
		}
	case key == "size":
		h.Size, err = strconv.ParseInt(value, 10, 64)
	case isMode(word):
		h.Mode, err = strconv.ParseInt(word, 8, 64)
	case isOwner(word):
		_, err = fmt.Sscanf(word, "%d:%d", &h.Uid, &h.Gid)
	case h.Typeflag == tar.TypeReg && *text == "":
		*text = word
	default:
		return fmt.Errorf("%q is no attribute of an entry", word)
	}
	return err
}

// isMode reports whether a word is a mode: octal digits with a leading 0.
func isMode(word string) bool {
	return len(word) >= 4 && len(word) <= 5 && strings.Trim(word, "01234567") == "" && (len(word) == 4 || word[0] == '0')
}

// isOwner reports whether a word is UID:GID.
func isOwner(word string) bool {
	uid, gid, has := strings.Cut(word, ":")
	return has && uid != "" && gid != "" && strings.Trim(uid+gid, "0123456789") == ""
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
