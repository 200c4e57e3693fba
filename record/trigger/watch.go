package trigger

import (
	"fmt"
	"io/fs"
	"time"

	"kmon/format"
)

const (
	// maxSlots is how many parts a window has: it slides by a tenth.
	maxSlots = 10
	// maxServices bounds the services measured in windows of one length.
	maxServices = 64
	// maxProcesses is as many as a provider.Provider remembers.
	maxProcesses = 32768
)

// Watch holds conditions against what is recorded. It belongs to one goroutine.
// A nil Watch watches nothing, and none of its methods does anything.
type Watch struct {
	conditions []*watched
	windows    []*window
	rest       time.Duration
	root       fs.FS
	faults     faults
	lostNs     int64 // when exchanges were last missing

	processes map[int32]process
	services  map[string]*service
	ended     [2][]ending // processes that ended since the last Evaluate, and before
	last      int32       // process of the exchange before, and its service
	lastOf    *service
}

// watched is a condition at work.
type watched struct {
	Condition
	window  *window // of measures of requests
	restsNs int64   // until then
	armed   bool    // requests were not below the bound once
}

// process is whose requests a pid's exchanges are.
type process struct {
	startNs int64
	service *service
}

type ending struct {
	pid     int32
	startNs int64
}

// service is one whose requests count somewhere.
type service struct {
	name      string
	processes int       // that are known
	counts    []*counts // by window; nil: none yet
}

// New makes a Watch of conditions. After one held it rests for so long. root is
// that of the file system with proc/pressure.
func New(conditions []Condition, rest time.Duration, root fs.FS) (*Watch, error) {
	if len(conditions) == 0 {
		return nil, nil
	}
	if len(conditions) > MaxConditions {
		return nil, fmt.Errorf("%d conditions, at most %d are watched", len(conditions), MaxConditions)
	}
	w := &Watch{rest: rest, root: root, processes: map[int32]process{}, services: map[string]*service{}}
	for _, c := range conditions {
		if c.resource != "" {
			if _, err := pressure(root, c.resource); err != nil {
				return nil, fmt.Errorf("condition %s: %w", c, err)
			}
		}
		one := &watched{Condition: c}
		if c.measure.ofServices() {
			one.window = w.windowFor(c)
		}
		w.conditions = append(w.conditions, one)
	}
	return w, nil
}

// windowFor gives the window of a condition's length, and has it take what the
// condition is about.
func (w *Watch) windowFor(c Condition) *window {
	for _, in := range w.windows {
		if in.over == c.over {
			in.want(c.service)
			return in
		}
	}
	in := newWindow(c.over)
	in.want(c.service)
	w.windows = append(w.windows, in)
	return in
}

// Processes takes which service each process belongs to.
func (w *Watch) Processes(rows []format.Process) {
	if w == nil || len(w.windows) == 0 {
		return
	}
	w.lastOf, w.last = nil, 0
	for i := range rows {
		row := &rows[i]
		w.forget(row.PID, w.processes[row.PID].startNs)
		if !w.wanted(row.Service) || len(w.processes) >= maxProcesses {
			continue
		}
		s := w.services[row.Service]
		if s == nil {
			s = &service{name: row.Service, counts: make([]*counts, len(w.windows))}
			w.services[row.Service] = s
		}
		s.processes++
		w.processes[row.PID] = process{row.StartNs, s}
	}
}

func (w *Watch) wanted(name string) bool {
	for _, in := range w.windows {
		if in.wants(name) {
			return true
		}
	}
	return false
}

// forget drops a process, unless another has its pid by now.
func (w *Watch) forget(pid int32, startNs int64) {
	p, known := w.processes[pid]
	if !known || p.startNs != startNs {
		return
	}
	delete(w.processes, pid)
	if p.service.processes--; p.service.processes == 0 {
		delete(w.services, p.service.name)
	}
}

// Ended takes the processes that ended. Their last exchanges may be still to come.
func (w *Watch) Ended(rows []format.Proc) {
	if w == nil || len(w.windows) == 0 {
		return
	}
	for i := range rows {
		if _, known := w.processes[rows[i].PID]; known && rows[i].Event == format.ProcExit {
			w.ended[0] = append(w.ended[0], ending{rows[i].PID, rows[i].StartNs})
		}
	}
}

// Exchanges takes exchanges as they come.
func (w *Watch) Exchanges(rows []format.Exchange) {
	if w == nil || len(w.windows) == 0 {
		return
	}
	const notServed = format.ExchangeClient | format.ExchangePartial | format.ExchangeNoRequest | format.ExchangeStream
	for i := range rows {
		row := &rows[i]
		if row.Flags&notServed != 0 {
			continue
		}
		if row.PID != w.last {
			w.last, w.lastOf = row.PID, w.processes[row.PID].service
		}
		if w.lastOf != nil {
			w.count(w.lastOf, row)
		}
	}
}

// Lost says that exchanges of the time until nowNs are missing, lost or left out.
// Until they are out of the window, no service has too few requests.
func (w *Watch) Lost(nowNs int64) {
	if w != nil {
		w.lostNs = nowNs
	}
}

// giveUpNs: a client that closed its connection after so long without an answer
// had given up, as in reports.
const giveUpNs = 1_000_000_000

// count counts a request to a service. One that was never answered took longer
// than it waited, and counts with that.
func (w *Watch) count(s *service, row *format.Exchange) {
	if row.Flags&format.ExchangeNoAnswer != 0 {
		over := row.Flags&format.ExchangeClosed != 0 && row.Flags&format.ExchangeOpen == 0
		failed := row.Flags&(format.ExchangeReset|format.ExchangeServerClosed) != 0 || row.ServerNs >= giveUpNs
		if !over || !failed {
			return // a goodbye, or nobody looks any more
		}
	}
	timed := row.Flags&(format.ExchangeInterleaved|format.ExchangeJoined) == 0
	for i, in := range w.windows {
		c := s.counts[i]
		if c == nil || c.dropped {
			c = in.of(s.name)
			s.counts[i] = c
		}
		if c != nil {
			c.add(in.at, row.UploadNs+row.ServerNs+row.DownloadNs, timed)
		}
	}
}
