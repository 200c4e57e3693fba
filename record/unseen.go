package record

import (
	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// unseen counts processes that have no row in snapshot processes: too many began
// at once, or there are too many.
type unseen struct {
	skipped int   // processes the last look at /proc had no room for
	untold  int64 // processes not yet counted as lost
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
}

// lost is how many it was since the last time.
func (u *unseen) lost() []probe.Lost {
	n := u.untold
	if u.untold = 0; n == 0 {
		return nil
	}
	return []probe.Lost{{Collector: "proc", Table: "processes", Cause: format.LossStateFull, Count: n}}
}
