package record

import (
	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// unseen counts processes that have no row in snapshot processes: too many began
// at once, or there are too many; and limits of cgroups that have none.
type unseen struct {
	skipped int   // processes the last look at /proc had no room for
	untold  int64 // processes not yet counted as lost

	skippedLimits int // limits the last look had no room for
	untoldLimits  int64
}

// passedOver takes the events that were not handed to the Provider.
func (u *unseen) passedOver(procs []probe.Proc) {
	for i := range procs {
		if procs[i].Event != format.ProcExit {
			u.untold++
		}
	}
}

// lookedThrough takes what a look through /proc tells. It skips the same
// processes again, so what is more than the last time counts.
func (u *unseen) lookedThrough(s *provider.Snapshot) {
	if s.Live == 0 { // only what an event told
		return
	}
	u.untold += int64(max(0, s.Skipped-u.skipped))
	u.skipped = s.Skipped
	u.untoldLimits += int64(max(0, s.SkippedLimits-u.skippedLimits))
	u.skippedLimits = s.SkippedLimits
}

// lost is how many it was since the last time.
func (u *unseen) lost() []probe.Lost {
	var list []probe.Lost
	if u.untold > 0 {
		list = append(list, probe.Lost{Collector: "proc", Table: "processes", Cause: format.LossStateFull, Count: u.untold})
	}
	if u.untoldLimits > 0 {
		list = append(list, probe.Lost{Collector: "proc", Table: "limits", Cause: format.LossStateFull, Count: u.untoldLimits})
	}
	u.untold, u.untoldLimits = 0, 0
	return list
}
