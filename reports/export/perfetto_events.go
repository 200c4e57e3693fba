package export

import (
	"cmp"
	"errors"
	"net"
	"strconv"
	"strings"

	"kmon/analyze"
)

// CPU writes what a thread used as shares of one CPU, 0 in between.
func (p *Perfetto) CPU(c *analyze.TimelineCPU) error {
	t, err := p.thread(&c.Thread)
	if err != nil {
		return err
	}
	if t == nil || !p.counters(t) {
		p.LeftOut++
		return nil
	}
	if c.StartNs > t.countedNs {
		if err := p.idle(t); err != nil {
			return err
		}
	}
	length := float64(c.EndNs - c.StartNs)
	t.countedNs = max(t.countedNs, c.EndNs)
	return errors.Join(p.count(c.StartNs, t.ran, 100*float64(c.OnCPUNs)/length), p.count(c.StartNs, t.waited, 100*float64(c.RunQueueNs)/length))
}

// counters sees that a thread has its counters.
func (p *Perfetto) counters(t *threadTracks) bool {
	if t.ran != 0 {
		return t.waited != 0
	}
	counter := func(m *message) { m.inner(trackCounter, func(*message) {}) }
	var err1, err2 error
	t.ran, err1 = p.track(t.track, "on CPU, %", counter)
	t.waited, err2 = p.track(t.track, "run queue, %", counter)
	return errors.Join(err1, err2) == nil && t.waited != 0
}

// idle says that a thread did not run from the end of what it used on.
func (p *Perfetto) idle(t *threadTracks) error {
	if t.countedNs == 0 || t.waited == 0 {
		return nil
	}
	return errors.Join(p.count(t.countedNs, t.ran, 0), p.count(t.countedNs, t.waited, 0))
}

func (p *Perfetto) count(ns int64, track uint64, v float64) error {
	return p.event(ns, typeCounter, track, func(m *message) { m.double(eventCounter, v) })
}

// Request writes an exchange: a slice where its times are sound, else an instant.
func (p *Perfetto) Request(r *analyze.TimelineRequest) error {
	timed := r.Kind == analyze.TimelineAnswered || r.Kind == analyze.TimelineUnanswered
	end := r.StartNs
	if timed {
		end += r.LatencyNs()
	}
	track, err := p.place(r, end)
	if err != nil {
		return err
	}
	if track == 0 {
		p.LeftOut++
		return nil
	}
	name, err := p.name(r.Client + " → " + serverOf(r))
	if err != nil {
		return err
	}
	fill := func(m *message) {
		m.category(categoryOf(r))
		name(m)
		requestArguments(m, r, timed)
		if r.Flow != 0 && r.OnClient {
			m.fixed(eventFlow, r.Flow)
		} else if r.Flow != 0 {
			m.fixed(eventFlowEnd, r.Flow)
		}
	}
	if timed {
		return p.slice(r.StartNs, end, track, fill)
	}
	return p.event(r.StartNs, typeInstant, track, fill)
}

// serverOf is the server with its port, unless an address tells it.
func serverOf(r *analyze.TimelineRequest) string {
	if r.ServerPort == 0 {
		return r.Server
	}
	return net.JoinHostPort(r.Server, strconv.Itoa(int(r.ServerPort)))
}

// categoryOf is what SQL asks for.
func categoryOf(r *analyze.TimelineRequest) string {
	switch {
	case r.Kind == analyze.TimelineStream || r.Kind == analyze.TimelineOneWay:
		return string(r.Kind)
	case r.OnClient:
		return "call"
	}
	return "request"
}

// place gives the track of an exchange: its thread's, else a lane.
func (p *Perfetto) place(r *analyze.TimelineRequest, end int64) (uint64, error) {
	thread, err := p.thread(&r.Thread)
	if err != nil {
		return 0, err
	}
	if thread != nil && (end == r.StartNs || thread.slices.takes(r.StartNs, end, r.OnClient)) {
		return thread.track, nil
	}
	process := p.processes[r.Thread.Number]
	if r.OnClient {
		return p.lane(&process.calls, r.StartNs, end)
	}
	return p.lane(&process.requests, r.StartNs, end)
}

func requestArguments(m *message, r *analyze.TimelineRequest, timed bool) {
	m.word("kind", string(r.Kind))
	m.word("peer", address(r.Peer, r.PeerPort))
	if timed {
		m.number("upload_ns", r.UploadNs)
		m.number("server_ns", r.ServerNs)
		m.number("download_ns", r.DownloadNs)
	}
	m.number("request_bytes", r.RequestBytes)
	m.number("answer_bytes", r.AnswerBytes)
	if !timed {
		m.number("request_messages", int64(r.RequestMessages))
		m.number("answer_messages", int64(r.AnswerMessages))
	}
	m.number("connection", r.Socket)
	m.word("flags", r.Flags)
}

// IO writes a request to a disk on a lane of the disk.
func (p *Perfetto) IO(io *analyze.TimelineIO) error {
	l := p.disks[io.Disk]
	if l == nil {
		group, err := p.group("Disks")
		if err != nil {
			return err
		}
		l = &lanes{parent: group, name: io.Disk}
		p.disks[io.Disk] = l
	}
	given, end := io.StartNs+io.QueueNs, io.StartNs+io.QueueNs+io.DeviceNs
	track, err := p.lane(l, io.StartNs, end)
	if err != nil {
		return err
	}
	if track == 0 {
		p.LeftOut++
		return nil
	}
	name, err := p.name(io.Operation + " · " + io.Thread.Service)
	if err != nil {
		return err
	}
	err = p.slice(io.StartNs, end, track, func(m *message) {
		m.category("io")
		name(m)
		ioArguments(m, io)
	})
	if err != nil || io.QueueNs == 0 || io.DeviceNs == 0 {
		return err
	}
	return errors.Join(p.part("queue", io.StartNs, given, track), p.part("device", given, end, track))
}

// part writes a slice within the last.
func (p *Perfetto) part(word string, start, end int64, track uint64) error {
	name, err := p.name(word)
	return errors.Join(err, p.slice(start, end, track, name))
}

func ioArguments(m *message, io *analyze.TimelineIO) {
	m.number("bytes", io.Bytes)
	if io.Sector >= 0 {
		m.number("sector", io.Sector)
	}
	m.word("service", io.Thread.Service)
	m.word("process", io.Thread.TimelineProcess.Name)
	m.number("pid", int64(io.Thread.PID))
	m.number("tid", int64(io.Thread.TID))
	m.word("flags", io.Flags)
	for _, odd := range []struct {
		name  string
		value int32
	}{{"error", io.Error}, {"requeues", io.Requeues}, {"merges", io.Merges}} {
		if odd.value != 0 {
			m.number(odd.name, int64(odd.value))
		}
	}
}

// Mark writes an instant.
func (p *Perfetto) Mark(k *analyze.TimelineMark) error {
	track, err := p.group("Marks")
	if err != nil {
		return err
	}
	name, err := p.name(strings.TrimSuffix(k.Kind+": "+k.Text, ": "))
	if err != nil {
		return err
	}
	return p.event(k.TsNs, typeInstant, track, func(m *message) {
		m.category("mark")
		name(m)
	})
}

// Loss writes the time in which rows were lost.
func (p *Perfetto) Loss(l *analyze.TimelineLoss) error {
	if p.losses.parent == 0 {
		group, err := p.group("Losses")
		if err != nil {
			return err
		}
		p.losses.parent, p.losses.name = group, "lost"
	}
	track, err := p.lane(&p.losses, l.StartNs, l.EndNs)
	if err != nil {
		return err
	}
	if track == 0 {
		p.LeftOut++
		return nil
	}
	name, err := p.name("lost: " + cmp.Or(l.Table, l.Collector, l.Cause))
	if err != nil {
		return err
	}
	return p.slice(l.StartNs, l.EndNs, track, func(m *message) {
		m.category("loss")
		name(m)
		m.word("collector", l.Collector)
		m.word("table", l.Table)
		m.word("cause", l.Cause)
		if l.Count >= 0 {
			m.number("count", l.Count)
		} else {
			m.word("count", "not known")
		}
	})
}
