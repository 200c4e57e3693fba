package analyze

import (
	"slices"
	"testing"

	"kmon/format"
)

// A capture of a few KB with a hundred thousand marks, or losses, gave reports
// of as many lines.
func TestListsAreBounded(t *testing.T) {
	s := newStory(t, "node1")
	for i := range int64(maxMarksListed + 5) {
		s.marks = append(s.marks, format.Mark{TsNs: i, Kind: "user", Text: "x"})
	}
	for i := range int64(maxLossesListed + 7) {
		s.losses = append(s.losses, format.Loss{StartNs: 10 * i, EndNs: 10*i + 1, Collector: "proc", Table: "procs", Cause: format.LossRingFull, Count: 1})
	}
	a := analyzed(t, Options{}, s)
	if len(a.Marks) != maxMarksListed || len(a.Losses) != maxLossesListed {
		t.Errorf("%d marks and %d losses are listed", len(a.Marks), len(a.Losses))
	}
	for _, want := range []string{"5 further marks are left out", "7 further losses are left out"} {
		if !slices.Contains(a.Warnings, want) {
			t.Errorf("warnings %q lack %q", a.Warnings, want)
		}
	}
}
