package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Interrupt is the cause of a context that a signal ended.
type Interrupt struct {
	Signal os.Signal
}

// Error names the signal.
func (i *Interrupt) Error() string { return "interrupted by signal: " + i.Signal.String() }

// Unwrap makes an interrupt what it is to all other rooms: a cancellation.
func (i *Interrupt) Unwrap() error { return context.Canceled }

// Interruptible returns a context that the first SIGINT or SIGTERM ends, with
// an *[Interrupt] as its cause. From then on signals act as they do by default:
// the second one kills. stop gives the signals back.
func Interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&Interrupt{Signal: s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
