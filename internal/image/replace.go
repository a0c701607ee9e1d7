package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// writeBuffer gathers what comes in small pieces.
const writeBuffer = 256 << 10

// Replace lets write write the file path, which appears, in place of what was
// there, when that has succeeded. What is there and no regular file, such as a
// pipe, is written to as it is.
func Replace(path string, write func(w io.Writer) error) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return writeInto(path, write)
	}
	if err == nil {
		// A symbolic link stays one.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	f, err := createBeside(path)
	if err != nil {
		return err
	}
	if err := writeTo(f, write); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func writeInto(path string, write func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return writeTo(f, write)
}

// writeTo closes f.
func writeTo(f *os.File, write func(w io.Writer) error) error {
	out := bufio.NewWriterSize(f, writeBuffer)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	return errors.Join(err, f.Close())
}

// createBeside makes a file of a new name in the directory of path. Unlike
// those of os.CreateTemp it has the mode that other files of the user have.
func createBeside(path string) (*os.File, error) {
	for {
		name := fmt.Sprintf(".%s.%08x", filepath.Base(path), rand.Uint32())
		f, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}
