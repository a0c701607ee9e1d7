package userns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pipes connect [Enter] with its child: one lets it go on, through the other it
// says what went wrong.
//
// Their ends keep their numbers in the child: any other could be one that the
// program was started with.
type pipes struct {
	wait, start  *os.File // wait is the child's
	hear, report *os.File // report is the child's
}

func openPipes() (_ *pipes, err error) {
	p := &pipes{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.wait, p.start, err = os.Pipe(); err != nil {
		return nil, err
	}
	if p.hear, p.report, err = os.Pipe(); err != nil {
		return nil, err
	}
	for _, f := range []*os.File{p.wait, p.report} {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// childNames names the child's ends to it.
func (p *pipes) childNames() string { return fmt.Sprintf("%d,%d", p.wait.Fd(), p.report.Fd()) }

// childPipes opens what childNames names. They are closed when the child
// executes something else.
func childPipes(names string) (wait, report *os.File, err error) {
	var w, r int
	if _, err := fmt.Sscanf(names, "%d,%d", &w, &r); err != nil {
		return nil, nil, err
	}
	unix.CloseOnExec(w)
	unix.CloseOnExec(r)
	return os.NewFile(uintptr(w), "wait"), os.NewFile(uintptr(r), "report"), nil
}

// letGo lets the child go on, and returns what it says went wrong before it
// executed the program.
func (p *pipes) letGo() error {
	if _, err := p.start.Write([]byte{1}); err != nil {
		return err
	}
	if err := p.report.Close(); err != nil {
		return err
	}
	said, err := io.ReadAll(p.hear)
	if err != nil {
		return err
	}
	if len(said) > 0 {
		return errors.New(strings.TrimSpace(string(said)))
	}
	return nil
}

func (p *pipes) close() error {
	var errs []error
	for _, f := range []*os.File{p.wait, p.start, p.hear, p.report} {
		if f == nil {
			continue
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
