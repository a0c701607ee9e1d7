package image

import (
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// completeHistory returns a history that has as many entries with a layer as
// there are layers, all with a time. Readers rely on the first; the rules for
// the times are those of BuildKit (exporter/containerimage, history).
func completeHistory(history []ocispec.History, layers int) []ocispec.History {
	history = slices.Clone(history)
	matchLayers(&history, layers)
	fillTimes(history)
	return history
}

// matchLayers makes good what a base image's history lacks. Entries that claim
// layers which are not there lose the claim; layers without an entry get one,
// before all others, as it can only be the base that has left them out.
func matchLayers(history *[]ocispec.History, layers int) {
	claimed := 0
	for i := range *history {
		entry := &(*history)[i]
		if entry.EmptyLayer {
			continue
		}
		if claimed == layers {
			entry.EmptyLayer = true
			continue
		}
		claimed++
	}
	unknown := make([]ocispec.History, layers-claimed)
	for i := range unknown {
		unknown[i].Comment = "not in the history of the base image"
	}
	*history = append(unknown, *history...)
}

// fillTimes gives entries without a time that of the last one before that has
// one; those before the first new layer get that layer's, or else instructions
// that only change the config would be as old as the base image.
func fillTimes(history []ocispec.History) {
	created := firstNewTime(history)
	missing := false
	for i := range history {
		switch {
		case history[i].Created == nil:
			missing = true
			history[i].Created = created
		case missing:
			created = history[i].Created
		}
	}
}

// firstNewTime returns the first time after an entry that has none, or the last
// of all.
func firstNewTime(history []ocispec.History) *time.Time {
	var created *time.Time
	missing := false
	for _, entry := range history {
		if entry.Created == nil {
			missing = true
			continue
		}
		created = entry.Created
		if missing {
			break
		}
	}
	return created
}

// lastTime returns the last time in the history, nil if there is none.
func lastTime(history []ocispec.History) *time.Time {
	for _, entry := range slices.Backward(history) {
		if entry.Created != nil {
			return entry.Created
		}
	}
	return nil
}
