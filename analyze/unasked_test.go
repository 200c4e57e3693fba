package analyze

import (
	"slices"
	"testing"

	"kmon/format"
)

// What nobody asked for is missing, and nothing to warn about.
func TestNotAskedForIsNoWarning(t *testing.T) {
	s := loopback(t, 1)
	s.manifest.Collectors = []format.Collector{
		{Name: "syscall", Missing: map[string]string{"calls": "not asked for (-e syscall)"}},
		{Name: "tcp", Variants: map[string]string{"send": "tp_btf"},
			Missing: map[string]string{"request-waits": "not asked for (-e tcp,cpu)", "existing": "no iterator"}},
	}
	a := analyzed(t, Options{}, s)
	file := a.Captures[0].File
	if want := []string{file + ": collector tcp lacks existing: no iterator"}; !slices.Equal(a.Warnings, want) {
		t.Errorf("warnings %q, want %q", a.Warnings, want)
	}
	if got, want := a.Captures[0].Collectors[1].Missing, "existing: no iterator, request-waits: not asked for (-e tcp,cpu)"; got != want {
		t.Errorf("missing %q, want %q", got, want)
	}
}
