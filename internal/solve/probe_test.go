package solve_test

import (
	"slices"
	"testing"

	"github.com/kiln-build/kiln/internal/cache"
	"github.com/kiln-build/kiln/internal/plan"
	"github.com/kiln-build/kiln/internal/solve"
)

// builder -> test (FROM builder), final COPY --from=builder; docs stands alone.
func stages() (builder, test, docs, final *plan.Stage, p *plan.Plan) {
	builder = &plan.Stage{Index: 0, Name: "builder", Steps: []*plan.Step{{Op: &plan.Run{Args: []string{"make"}}}}}
	test = &plan.Stage{Index: 1, Name: "test", Base: plan.Base{Stage: builder}}
	docs = &plan.Stage{Index: 2, Name: "docs", Steps: []*plan.Step{{Op: &plan.Run{Args: []string{"doc"}}}}}
	final = &plan.Stage{Index: 3, Name: "final", Steps: []*plan.Step{
		{Op: &plan.Copy{From: plan.Origin{Stage: builder}}},
		{Op: &plan.Run{Mounts: []plan.Mount{{Type: "bind", From: plan.Origin{Stage: docs}}}}},
	}}
	p = &plan.Plan{Stages: []*plan.Stage{builder, test, docs, final}, Target: final}
	return
}

func needed(p *plan.Plan, hits solve.Hits) []string {
	var names []string
	for stage := range solve.Needed(p, hits) {
		names = append(names, stage.Name)
	}
	slices.Sort(names)
	return names
}

func TestNeededFollowsCopiesMountsAndBases(t *testing.T) {
	_, test, _, final, p := stages()
	if got, want := needed(p, nil), []string{"builder", "docs", "final"}; !slices.Equal(got, want) {
		t.Errorf("needed for final = %v, want %v", got, want)
	}
	p.Target = test
	if got, want := needed(p, nil), []string{"builder", "test"}; !slices.Equal(got, want) {
		t.Errorf("needed for test = %v, want %v", got, want)
	}
	p.Target = final
	hits := solve.Hits{final.Steps[0]: &cache.Hit{}}
	if got, want := needed(p, hits), []string{"docs", "final"}; !slices.Equal(got, want) {
		t.Errorf("needed with the copy cached = %v, want %v", got, want)
	}
	hits[final.Steps[1]] = &cache.Hit{}
	if got, want := needed(p, hits), []string{"final"}; !slices.Equal(got, want) {
		t.Errorf("needed with all cached = %v, want %v", got, want)
	}
}
