package step

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	mode "github.com/tonistiigi/dchapes-mode"

	"github.com/kiln-build/kiln/internal/layer"
)

// chmod is what --chmod does to modes.
type chmod struct {
	octal    uint32
	isOctal  bool
	symbolic *mode.Set
}

// parseChmod reads --chmod, "" for none, with BuildKit's rules and messages.
func parseChmod(s string) (chmod, error) {
	if s == "" {
		return chmod{}, nil
	}
	notOctal := fmt.Errorf("invalid chmod parameter: '%v'. it should be octal string and between 0 and 07777", s)
	if octal, err := strconv.ParseUint(s, 8, 32); err == nil {
		if octal > 0o7777 {
			return chmod{}, notOctal
		}
		return chmod{octal: uint32(octal), isOctal: true}, nil
	}
	set, err := mode.ParseWithUmask(s, 0)
	if err != nil {
		var number *strconv.NumError
		if errors.As(err, &number) {
			return chmod{}, notOctal
		}
		return chmod{}, fmt.Errorf("invalid chmod parameter: '%v': %w", s, err)
	}
	return chmod{symbolic: &set}, nil
}

// apply returns the mode that e gets.
func (c chmod) apply(e layer.Entry) uint32 {
	switch {
	case e.Type == layer.Symlink:
		return e.Mode
	case c.isOctal:
		return c.octal
	case c.symbolic != nil:
		return fromFileMode(c.symbolic.Apply(toFileMode(e)))
	}
	return e.Mode
}

// made returns the mode of directories made on the way: a symbolic --chmod does
// not reach them.
func (c chmod) made() uint32 {
	if c.isOctal {
		return c.octal & layer.ModePerm
	}
	return 0o755
}

// specials pairs the mode bits of a tar header with Go's.
var specials = [...]struct {
	bit uint32
	os  os.FileMode
}{
	{layer.ModeSetuid, os.ModeSetuid},
	{layer.ModeSetgid, os.ModeSetgid},
	{layer.ModeSticky, os.ModeSticky},
}

func toFileMode(e layer.Entry) os.FileMode {
	m := os.FileMode(e.Mode & layer.ModePerm)
	for _, special := range specials {
		if e.Mode&special.bit != 0 {
			m |= special.os
		}
	}
	if e.Type == layer.Dir {
		m |= os.ModeDir
	}
	return m
}

func fromFileMode(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, special := range specials {
		if m&special.os != 0 {
			bits |= special.bit
		}
	}
	return bits
}
