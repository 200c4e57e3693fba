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

// Rows of process 0, which is nobody, ended the analysis with a panic.
func TestRowsOfNobody(t *testing.T) {
	s := newStory(t, "node1")
	s.more = append(s.more, func(w *format.Writer) {
		for _, err := range []error{
			format.Append(w, format.Interval{StartNs: 1, EndNs: 2, OnCPUNs: 1}, format.Interval{StartNs: 1, EndNs: 2, PID: 7, TID: 7, OnCPUNs: 5}),
			format.Append(w, format.OffCPU{StartNs: 1, EndNs: 2, TotalNs: 1, Count: 1}),
			format.Append(w, format.Syscall{StartNs: 1, EndNs: 2, Name: "read", Count: 1}),
			format.Append(w, format.Wake{StartNs: 1, EndNs: 2, Count: 1}),
			format.Append(w, format.Memory{TsNs: 1}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	a := analyzed(t, Options{}, s)
	if len(a.Threads) != 1 || a.Threads[0].PID != 7 {
		t.Errorf("threads are %+v, want that of process 7", a.Threads)
	}
}
