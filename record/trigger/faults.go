package trigger

import (
	"slices"
	"time"

	"kmon/format"
)

const (
	secondNs = 1_000_000_000
	// faultKinds is one more than the largest format.NetEventKind.
	faultKinds = int(format.NetDrop) + 1
	// faultSeconds are those kept: the longest window and what comes late.
	faultSeconds = int(maxOver/time.Second) + 8
)

// faults counts network events by kind and second. They come seconds late, some
// of several seconds at once, so they are counted by when they happened: a rate
// is that of seconds that are over, whenever it is looked at.
type faults struct {
	counts [faultSeconds]faultCounts
	newest int64 // second of the newest
	seen   int64 // that were newest at the last Evaluate
}

type faultCounts struct {
	second int64
	events [faultKinds]int64
}

// NetEvents takes network events as they come.
func (w *Watch) NetEvents(rows []format.NetEvent) {
	if w == nil {
		return
	}
	for i := range rows {
		w.faults.add(&rows[i])
	}
}

func (f *faults) add(row *format.NetEvent) {
	kind := int(row.Kind)
	if kind < 0 || kind >= faultKinds || row.TsNs < 0 {
		return
	}
	second := row.TsNs / secondNs
	c := &f.counts[second%int64(faultSeconds)]
	if second > c.second {
		*c = faultCounts{second: second}
	}
	if second == c.second {
		c.events[kind] += row.Count
	}
	f.newest = max(f.newest, second)
}

// rate is the largest number a second of events of some kinds, in a window that
// ends in a second that came since the last Evaluate.
func (f *faults) rate(kinds []format.NetEventKind, over time.Duration) float64 {
	most := int64(0)
	seconds := int64(over / time.Second)
	for end := max(f.seen+1, f.newest-8); end <= f.newest; end++ {
		sum := int64(0)
		for second := end - seconds + 1; second <= end; second++ {
			sum += f.in(second, kinds)
		}
		most = max(most, sum)
	}
	return float64(most) / float64(seconds)
}

// in counts the events of a second.
func (f *faults) in(second int64, kinds []format.NetEventKind) int64 {
	n := int64(0)
	if second < 0 {
		return 0
	}
	if c := &f.counts[second%int64(faultSeconds)]; c.second == second {
		for kind, events := range c.events {
			if slices.Contains(kinds, format.NetEventKind(kind)) {
				n += events
			}
		}
	}
	return n
}

// slide notes which seconds were looked at.
func (f *faults) slide() { f.seen = f.newest }
