package buildcontext

import "sync"

// readAhead reads listings in the background, the one asked for last first:
// that is the one a walk comes to next.
type readAhead struct {
	workers int

	mu      sync.Mutex
	stack   []*listing
	running int
	idle    sync.WaitGroup
}

func (r *readAhead) push(listings []*listing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stack = append(r.stack, listings...)
	for ; r.running < min(r.workers, len(r.stack)); r.running++ {
		r.idle.Go(r.work)
	}
}

func (r *readAhead) work() {
	for l := r.pop(); l != nil; l = r.pop() {
		_ = l.read() // the listing keeps the error for whoever asks for it
	}
}

func (r *readAhead) pop() *listing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.stack); n > 0 {
		l := r.stack[n-1]
		r.stack = r.stack[:n-1]
		return l
	}
	r.running--
	return nil
}

// stop forgets what has not been begun and waits for the rest.
func (r *readAhead) stop() {
	r.mu.Lock()
	r.stack = nil
	r.mu.Unlock()
	r.idle.Wait()
}
