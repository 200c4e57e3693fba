package format

import "errors"

// moment is the time of an event: from its first moment to its last, both included.
type moment struct {
	first, last int64
	// spread says that the row tells of all the time, of which a part counts; else
	// what began in a time belongs to it.
	spread bool
}

// momentOf gives the time of a row, given as a pointer; ok is false for rows that
// tell of a state that may have lasted.
func momentOf(row any) (m moment, ok bool) {
	switch r := row.(type) {
	case *Exchange:
		return moment{r.StartNs, r.StartNs + r.UploadNs + r.ServerNs + r.DownloadNs, false}, true
	case *IO:
		return moment{r.StartNs, r.StartNs + r.QueueNs + r.DeviceNs, false}, true
	case *NetEvent:
		return moment{r.TsNs, r.LastNs, false}, true
	case *AcceptQueue:
		return moment{r.TsNs, r.TsNs, false}, true
	case *OnCPU:
		return moment{r.TsNs, r.TsNs, false}, true
	case *Memory:
		return moment{r.TsNs, r.TsNs, false}, true
	case *Self:
		return moment{r.TsNs, r.TsNs, false}, true
	case *Mark:
		return moment{r.TsNs, r.TsNs, false}, true
	case *Interval:
		return moment{r.StartNs, r.EndNs - 1, true}, true
	case *Wake:
		return moment{r.StartNs, r.EndNs - 1, true}, true
	case *OffCPU:
		return moment{r.StartNs, r.EndNs - 1, true}, true
	case *Syscall:
		return moment{r.StartNs, r.EndNs - 1, true}, true
	case *Limit:
		return moment{r.StartNs, r.EndNs, true}, true
	case *Loss:
		return moment{r.StartNs, r.EndNs, true}, true
	}
	return moment{}, false
}

// startSlackNs is how far two records of one process differ in its start.
const startSlackNs = 20e6

// wanted says whether a row, given as a pointer, is of the time, or tells of a
// state in it. It says the same however often it is asked.
func (k *cutter) wanted(row any) bool {
	switch r := row.(type) {
	case *Socket:
		return k.wantedSocket(r)
	case *Exchange:
		return k.Holds(r.StartNs) || k.isLabel(r)
	case *Limit: // the first row of a limit says that there is one
		return r.StartNs < k.ToNs && (r.EndNs >= k.FromNs || r.StartNs == r.EndNs)
	case *Process:
		return r.StartNs-startSlackNs <= k.reachNs
	case *Proc:
		return r.StartNs-startSlackNs <= k.reachNs
	case *Stack:
		return k.stacks[r.StackID]
	case *Frame:
		return k.frames[r.FrameID]
	}
	m, ok := momentOf(row)
	return !ok || k.touches(m)
}

// wantedSocket: open at some time in the time.
func (k *cutter) wantedSocket(r *Socket) bool {
	switch {
	case r.Event == SocketExisting && (k.early.open[r.SocketID] || k.late.open[r.SocketID]):
		return true
	case r.TsNs < k.FromNs:
		return k.early.open[r.SocketID]
	case r.TsNs >= k.ToNs:
		return k.late.open[r.SocketID]
	}
	return true
}

// isLabel says whether a row beyond the time is the first that labels a socket of
// it a stream.
func (k *cutter) isLabel(r *Exchange) bool {
	if r.Flags&ExchangeStream == 0 || !k.early.open[r.SocketID] && !k.late.open[r.SocketID] {
		return false
	}
	start, labelled := k.labels[r.SocketID]
	if !labelled {
		k.labels[r.SocketID] = r.StartNs
	}
	return !labelled || start == r.StartNs
}

// openSockets finds the sockets that are open at a time. It holds no more than
// are open at once, and those whose rows are out of order.
type openSockets struct {
	atNs   int64
	open   map[int64]bool
	later  map[int64]bool // opened since then, and still open
	closed map[int64]bool // before it was opened, in the order of the file
}

func newOpenSockets(atNs int64) openSockets {
	return openSockets{atNs, map[int64]bool{}, map[int64]bool{}, map[int64]bool{}}
}

// add takes the rows in the order of the file. A socket that is listed was open
// before, whenever it was listed, unless it was seen to open.
func (s *openSockets) add(r *Socket) {
	id := r.SocketID
	switch {
	case r.Event == SocketOpen && r.TsNs >= s.atNs:
		s.later[id] = true
	case r.Event == SocketOpen || r.Event == SocketExisting:
		if s.closed[id] {
			delete(s.closed, id)
		} else if !s.later[id] {
			s.open[id] = true
		}
	case r.Event == SocketClose && r.TsNs >= s.atNs:
		delete(s.later, id)
	case r.Event == SocketClose && s.open[id]:
		delete(s.open, id)
	case r.Event == SocketClose:
		s.closed[id] = true
	}
}

// look finds what the events of the time refer to.
func (k *cutter) look() error {
	return errors.Join(ReadRows(k.from, func(rows []Socket) error {
		for i := range rows {
			k.early.add(&rows[i])
			k.late.add(&rows[i])
		}
		return nil
	}), lookAt(k, func(*Exchange) {}), lookAt(k, func(*IO) {}), lookAt(k, func(*Interval) {}), lookAt(k, func(*Wake) {}), lookAt(k, func(*Syscall) {}),
		lookAt(k, func(r *NetEvent) { k.stacks[r.StackID] = true }),
		lookAt(k, func(r *OffCPU) { k.stacks[r.StackID], k.stacks[r.UserStackID] = true, true }),
		lookAt(k, func(r *OnCPU) { k.stacks[r.StackID], k.stacks[r.UserStackID] = true, true }),
		lookAt(k, func(r *Stack) { k.frames[r.FrameID] = true }),
		ReadRows(k.from, func(rows []Self) error {
			k.self = append(k.self, rows...)
			return nil
		}))
}

// lookAt calls see for the rows that are wanted, and notes how far they reach: who
// did the last of it may have begun after the time.
func lookAt[T Row](k *cutter, see func(*T)) error {
	return ReadRows(k.from, func(rows []T) error {
		for i := range rows {
			if !k.wanted(&rows[i]) {
				continue
			}
			see(&rows[i])
			if m, ok := momentOf(&rows[i]); ok && m.first < k.ToNs {
				k.reachNs = max(k.reachNs, m.last)
			}
		}
		return nil
	})
}
