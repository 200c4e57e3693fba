package record

import (
	"testing"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// A process that is skipped by every look counts once, and ends count never.
func TestUnseenProcessesAreCountedOnce(t *testing.T) {
	var u unseen
	if lost := u.lost(); lost != nil {
		t.Errorf("nothing happened, and lost are %+v", lost)
	}
	events := []probe.Proc{{Proc: format.Proc{Event: format.ProcFork}}, {Proc: format.Proc{Event: format.ProcExec}}, {Proc: format.Proc{Event: format.ProcExit}}}
	u.passedOver(events)
	for _, skipped := range []int{5, 5, 7} {
		u.lookedThrough(&provider.Snapshot{Live: provider.MaxProcesses, Skipped: skipped})
		u.lookedThrough(&provider.Snapshot{}) // of an event
	}
	if lost := u.lost(); len(lost) != 1 || lost[0].Count != 2+7 || lost[0].Table != "processes" {
		t.Errorf("lost are %+v, want two events and seven processes", lost)
	}
	u.lookedThrough(&provider.Snapshot{Live: 1, Skipped: 0})
	u.lookedThrough(&provider.Snapshot{Live: 1, Skipped: 1})
	if lost := u.lost(); len(lost) != 1 || lost[0].Count != 1 {
		t.Errorf("lost are %+v, want the one that came later", lost)
	}
}

func TestSkippedLimitsAreCountedOnce(t *testing.T) {
	var u unseen
	for _, skipped := range []int{0, 5, 5, 7, 0} {
		u.lookedThrough(&provider.Snapshot{Live: 10, SkippedLimits: skipped})
	}
	if lost := u.lost(); len(lost) != 1 || lost[0].Count != 7 || lost[0].Table != "limits" {
		t.Errorf("lost are %+v, want seven limits", lost)
	}
	if lost := u.lost(); lost != nil {
		t.Errorf("and then %+v", lost)
	}
}
