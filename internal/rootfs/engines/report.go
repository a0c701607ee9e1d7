package engines

import (
	"fmt"
	"strings"
)

// Report says how an engine was chosen.
type Report struct {
	// Chosen is the name of the engine, "" if none works.
	Chosen string
	// Probes are what was tried, in order.
	Probes []Probe
}

// Probe is one engine that was tried.
type Probe struct {
	// Engine is its name.
	Engine string
	// Err says why it does not work here, nil if it does.
	Err error
	// Notes say what it had to do in another way than the usual one.
	Notes []string
}

// String returns the report as text, a line for each fact.
func (r Report) String() string {
	var b strings.Builder
	for _, p := range r.Probes {
		if p.Err != nil {
			fmt.Fprintf(&b, "%s: does not work: %v\n", p.Engine, p.Err)
		} else {
			fmt.Fprintf(&b, "%s: works\n", p.Engine)
		}
		for _, note := range p.Notes {
			fmt.Fprintf(&b, "%s: %s\n", p.Engine, note)
		}
	}
	return b.String()
}

// NoEngineError says that no engine works here.
type NoEngineError struct{ Report Report }

// Error says why each engine does not work.
func (e *NoEngineError) Error() string {
	var reasons []string
	for _, p := range e.Report.Probes {
		reasons = append(reasons, fmt.Sprintf("%s: %v", p.Engine, p.Err))
	}
	return "no engine works here to run commands in: " + strings.Join(reasons, "; ")
}

// Unwrap returns the engines' errors.
func (e *NoEngineError) Unwrap() []error {
	var errs []error
	for _, p := range e.Report.Probes {
		errs = append(errs, p.Err)
	}
	return errs
}
