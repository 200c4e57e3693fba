package record

import (
	"slices"
	"testing"

	"kmon/record/probe"
	"kmon/record/provider"
)

// A configuration may name every collector that there is.
func TestConfigurationKnowsTheCollectors(t *testing.T) {
	if got, want := provider.Collectors, probe.Collectors(); !slices.Equal(got, want) {
		t.Errorf("a configuration may name %q, there are %q", got, want)
	}
}
