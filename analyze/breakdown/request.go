package breakdown

import "kmon/format"

// Part is where time of a request went.
type Part int

// The parts that every request has, beside the services it asked.
const (
	OnCPU    Part = iota
	RunQueue      // waiting for a CPU
	Lock          // a futex, or a lock of the kernel on memory
	Disk
	Sleep   // for a time
	Network // a socket or a pipe, while no service was seen being asked
	Other   // something else
	Unknown // what the serving thread did is not known, and no service was seen being asked
	Parts
)

// waits are the kinds of waits in the order of Request.Waits. That of the network
// is the last: it goes to callees.
const waits = 6

var partOfWait = [waits]Part{RunQueue, Lock, Disk, Sleep, Other, Network}

// Request is a request as it was served. Times are monotonic.
type Request struct {
	StartNs, EndNs int64
	Instance       int32 // that served it
	Window         int32 // that it began in
	PID, TID       int32 // that answered
	Flags          format.ExchangeFlags
	Waits          [waits]int64 // of an accounted one; as partOfWait
}

// Call is a request that a process made.
type Call struct {
	StartNs, EndNs int64
	Cell           int32 // that it counts in
	PID, TID       int32 // that received the answer
}

// maxNs bounds a latency and a wait: 13 days. Hostile rows have more.
const maxNs = 1 << 50

// latency is the time of the whole.
func (r *Request) latency() int64 { return min(max(r.EndNs-r.StartNs, 0), maxNs) }

// accounted says whether it is known what the serving thread waited for.
func (r *Request) accounted() bool {
	return r.Flags&(format.ExchangeAccounted|format.ExchangeHandedOver) == format.ExchangeAccounted
}

// split divides the request's time, of which calls cover some; elsewhere says that
// other threads than the serving one made them, so that it may have waited for
// those. called is what of the calls' time the request waited for them.
func (r *Request) split(coveredNs int64, elsewhere bool) (parts [Parts]int64, calledNs int64) {
	rest := r.latency()
	if !r.accounted() {
		calledNs = min(coveredNs, rest)
		parts[Unknown] = rest - calledNs
		return parts, calledNs
	}
	for i, part := range partOfWait {
		ns := min(max(r.Waits[i], 0), rest)
		parts[part] += ns
		rest -= ns
	}
	parts[OnCPU] = rest
	waiting := []Part{Network, Other, Lock}
	if !elsewhere {
		waiting = waiting[:1]
	}
	for _, part := range waiting {
		ns := min(parts[part], coveredNs-calledNs)
		parts[part] -= ns
		calledNs += ns
	}
	return parts, calledNs
}
