package export

import "container/heap"

// Slices of a track lie in each other or apart; the trace processor takes the end
// of one for the end of the last that began. So what overlaps needs tracks of its
// own.

// nest is the slices of a thread: requests one after the other, and calls, one after
// the other, in a request or alone. A request within a request, as of a thread
// that serves several connections, is not its part and not drawn as one.
type nest struct {
	lastNs  int64 // the last begun
	request int64 // end of the last request
	call    int64 // end of the last call
}

// takes says whether a slice has its place here, and puts it there. Slices must
// come in the order of their beginning, of two that begin together the longer
// first; one that comes late has no place.
func (n *nest) takes(start, end int64, call bool) bool {
	if start < n.lastNs || start < n.call {
		return false
	}
	if start < n.request && (!call || end > n.request) {
		return false
	}
	n.lastNs = start
	if call {
		n.call = end
	} else {
		n.request = end
	}
	return true
}

// lanes are tracks of one name, which Perfetto's UI draws as one with several
// lines.
type lanes struct {
	parent uint64
	name   string
	list   []lane // a heap: the one that is free first
}

type lane struct {
	track  uint64
	freeNs int64
}

func (l *lanes) Len() int { return len(l.list) }

func (l *lanes) Less(i, j int) bool {
	a, b := l.list[i], l.list[j]
	if a.freeNs != b.freeNs {
		return a.freeNs < b.freeNs
	}
	return a.track < b.track
}

func (l *lanes) Swap(i, j int) { l.list[i], l.list[j] = l.list[j], l.list[i] }
func (l *lanes) Push(x any)    { l.list = append(l.list, x.(lane)) }

func (l *lanes) Pop() any {
	last := len(l.list) - 1
	x := l.list[last]
	l.list = l.list[:last]
	return x
}

// lane gives a track on which nothing lies from start on, and takes it until end;
// 0 when there are too many tracks.
func (p *Perfetto) lane(l *lanes, start, end int64) (uint64, error) {
	if len(l.list) > 0 && l.list[0].freeNs <= start {
		l.list[0].freeNs = end
		track := l.list[0].track
		heap.Fix(l, 0)
		return track, nil
	}
	track, err := p.track(l.parent, l.name, nil)
	if track != 0 {
		heap.Push(l, lane{track, end})
	}
	return track, err
}
