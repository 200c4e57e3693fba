package format

import "fmt"

// clockSlackNs is how far a time may lie outside the recording: hooks are
// attached before the manifest's clock is read, and rows arrive after the last.
const clockSlackNs = 2e9

// rule counts the rows that break one rule and remembers the first.
type rule struct {
	what  string
	count int64
	first string
}

func (r *rule) broken(format string, args ...any) {
	if r.count == 0 {
		r.first = fmt.Sprintf(format, args...)
	}
	r.count++
}

// validity is the state of CheckValid: the referential rules of a capture.
type validity struct {
	c              *Capture
	sockets        map[int64]bool
	socketsLost    bool  // the recording lost rows of sockets, and says so
	startNs, endNs int64 // of the recording with slack; endNs 0: not known

	strangers, negative, unknownFlags, outside, events, losses rule
}

// CheckValid checks the rules that hold between the rows of a sound capture and
// adds a Problem for each that is broken:
//
//   - every exchange's socket_id has a row in sockets (only noted when a row of
//     losses says that rows of sockets are missing)
//   - durations, bytes and message counts are not negative
//   - flags and enums have known values
//   - times lie within the recording (with 2 s of slack), of a later part not
//     after its end, of a cut capture within the one that it was cut from
//   - a loss has a positive count and does not end before it starts
//
// The error is one of reading; rules that are broken are not errors.
func (c *Capture) CheckValid() error {
	v := &validity{c: c, sockets: map[int64]bool{}}
	if c.Manifest.Clock.MonotonicNs > 0 && !c.continues() {
		v.startNs = c.Manifest.Clock.MonotonicNs - clockSlackNs
	}
	if c.Final != nil && c.Final.EndNs > 0 {
		v.endNs = c.Final.EndNs + clockSlackNs
	}
	if cut := c.Manifest.Cut; cut != nil { // what its events refer to may lie around them
		v.startNs = min(v.startNs, cut.StartNs-clockSlackNs)
		if v.endNs > 0 {
			v.endNs = max(v.endNs, cut.EndNs+clockSlackNs)
		}
	}
	v.strangers.what = "exchanges name a socket that has no row in sockets"
	v.negative.what = "rows have a negative duration, size or count"
	v.unknownFlags.what = "rows have flags this kmon does not know"
	v.outside.what = "rows have a time outside the recording"
	v.events.what = "rows have an event, role or cause this kmon does not know"
	v.losses.what = "losses end before they start or count nothing"
	if err := v.run(); err != nil {
		return err
	}
	for _, r := range []*rule{&v.strangers, &v.negative, &v.unknownFlags, &v.outside, &v.events, &v.losses} {
		if r.count > 0 {
			known := r == &v.strangers && v.socketsLost
			c.problem(Problem{Offset: -1, Damage: !known, What: fmt.Sprintf("%d %s, first: %s", r.count, r.what, r.first)})
		}
	}
	return nil
}

// continues says whether the recording had begun before the capture does: then
// so may what its rows tell.
func (c *Capture) continues() bool {
	r := c.Manifest.Recording
	return r != nil && (r.Part > 1 || r.SinceNs > 0)
}

func (v *validity) run() error {
	if err := ReadRows(v.c, v.addSockets); err != nil {
		return err
	}
	if err := ReadRows(v.c, v.addProcs); err != nil {
		return err
	}
	if err := ReadRows(v.c, v.addLosses); err != nil {
		return err
	}
	var cols ExchangeColumns
	for _, s := range v.c.segments["exchanges"] {
		if err := s.ReadExchanges(&cols); err != nil {
			if isFileError(err) {
				continue
			}
			return err
		}
		v.addExchanges(s, &cols)
	}
	return nil
}

// inside checks the time of a row.
func (v *validity) inside(table string, row int, ns int64) {
	if ns < v.startNs || v.endNs > 0 && ns > v.endNs {
		v.outside.broken("row %d of a segment of %s at %d ns", row, table, ns)
	}
}

func (v *validity) addSockets(rows []Socket) error {
	for i, r := range rows {
		v.sockets[r.SocketID] = true
		v.inside("sockets", i, r.TsNs)
		if r.Event < SocketExisting || r.Event > SocketConnectFailed || r.Role < RoleUnknown || r.Role > RoleServer ||
			r.RoleSource < RoleSourceUnknown || r.RoleSource > RoleSourcePort || r.CloseReason < CloseNone || r.CloseReason > CloseOther {
			v.events.broken("socket %d at %d ns", r.SocketID, r.TsNs)
		}
		if r.BytesSent < 0 || r.BytesReceived < 0 || r.Retransmits < 0 {
			v.negative.broken("socket %d at %d ns", r.SocketID, r.TsNs)
		}
	}
	return nil
}

func (v *validity) addProcs(rows []Proc) error {
	for i, r := range rows {
		v.inside("procs", i, r.TsNs)
		if r.Event < ProcFork || r.Event > ProcExit {
			v.events.broken("process %d at %d ns", r.PID, r.TsNs)
		}
	}
	return nil
}

func (v *validity) addLosses(rows []Loss) error {
	for _, r := range rows {
		v.socketsLost = v.socketsLost || r.Table == "sockets"
		if r.EndNs < r.StartNs || r.Count <= 0 && (r.Cause != LossShed || r.Count < LossUncounted) {
			v.losses.broken("%d of %s, %d to %d ns", r.Count, r.Table, r.StartNs, r.EndNs)
		}
		if r.Cause < LossRingFull || r.Cause > LossShed {
			v.events.broken("loss at %d ns", r.StartNs)
		}
	}
	return nil
}

const knownFlags = ExchangeHandedOver<<1 - 1

func (v *validity) addExchanges(s Segment, c *ExchangeColumns) {
	for _, id := range c.SocketIDs {
		if !v.sockets[id] {
			v.strangers.broken("socket %d in %s", id, s.Name)
		}
	}
	for i := range c.StartNs {
		end := c.StartNs[i] + c.UploadNs[i] + c.ServerNs[i] + c.DownloadNs[i]
		v.inside("exchanges", i, c.StartNs[i])
		v.inside("exchanges", i, end)
		if c.UploadNs[i]|c.ServerNs[i]|c.DownloadNs[i]|c.RequestBytes[i]|c.AnswerBytes[i] < 0 ||
			c.RequestMessages[i]|c.AnswerMessages[i] < 0 {
			v.negative.broken("row %d of %s", i, s.Name)
		}
		if c.Flags[i]&^knownFlags != 0 {
			v.unknownFlags.broken("row %d of %s: %v", i, s.Name, c.Flags[i])
		}
	}
}
