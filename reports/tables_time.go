package reports

import (
	"strings"

	"kmon/analyze"
)

// timePoints is the most points of a series in a table that lists several.
const timePoints = 20

// note says how long a point is, and what its percentiles are.
func (p period) note(counts string) string {
	note := "Each row is " + roundText(p.window)
	if p.merged > 1 {
		note += ": " + counts + " added up, of each percentile the worst window"
	}
	return note + "."
}

// timeTables are the numbers of the charts, for the report that has none: each
// series in at most timePoints rows.
func timeTables(a *analyze.Analysis) []table {
	return []table{servicesTimeTable(a), cpuTimeTable(a), disksTimeTable(a), networkTimeTable(a)}
}

// servicePoint is a point of a service's series.
type servicePoint struct {
	analyze.Point
	service string
}

// servicesTimeTable lists the series of the services that are drawn.
func servicesTimeTable(a *analyze.Analysis) table {
	p := servicesPeriod(a).within(timePoints)
	all, listed := []servicePoint{}, 0
	for _, s := range busiest(a.Services) {
		if s.Requests == 0 || len(s.Series) == 0 || p.window <= 0 || listed == chartLimit {
			continue
		}
		listed++
		for _, w := range servicePoints.thin(p, s.Series) {
			all = append(all, servicePoint{w, s.Name})
		}
	}
	quantile := func(head string, of func(*analyze.Point) int64) spec[servicePoint] {
		return latency(head, hintLatency, 0, func(w *servicePoint) (analyze.Distribution, int64) {
			return analyze.Distribution{Count: w.Count}, of(&w.Point)
		})
	}
	t := build("services-time", "Services over time", all, []spec[servicePoint]{
		{column{Head: "Service", Kind: kindName}, func(w *servicePoint) cell { return named(w.service) }},
		{column{Head: "UTC"}, func(w *servicePoint) cell { return word(pointTime(w.StartNs, w.Partial)) }},
		number("Requests", "", 0, func(w *servicePoint) cell { return counted(w.Requests) }),
		odd("Errors", "resets and unanswered", 0, func(w *servicePoint) cell { return alarmed(w.Errors, toneBad) }),
		quantile("p50", func(w *analyze.Point) int64 { return w.P50 }),
		quantile("p95", func(w *analyze.Point) int64 { return w.P95 }),
		quantile("p99", func(w *analyze.Point) int64 { return w.P99 }),
		quantile("max", func(w *analyze.Point) int64 { return w.Max }),
		odd("Lost", "exchanges lost in this time, all services", 0, func(w *servicePoint) cell { return alarmed(w.Lost, toneBad) }),
	})
	t.Note = p.note("requests")
	return t
}

// pointTime is the time of a point; "part" where it was not wholly recorded.
func pointTime(ns int64, partial bool) string {
	if partial {
		return clockText(ns) + " part"
	}
	return clockText(ns)
}

// diskTimePoint is a point of a disk's series.
type diskTimePoint struct {
	analyze.DiskPoint
	disk string
}

// disksTimeTable lists the series of the disks that were used.
func disksTimeTable(a *analyze.Analysis) table {
	all, note := []diskTimePoint{}, ""
	for _, d := range busiestDisks(a)[:min(len(a.Disks), chartLimit)] {
		p := diskPoints.period(a.WindowNs, d.Series).within(timePoints)
		if d.IOs == 0 || len(d.Series) == 0 || p.window <= 0 {
			continue
		}
		note = p.note("IOs and bytes")
		for _, w := range diskPoints.thin(p, d.Series) {
			all = append(all, diskTimePoint{w, d.Name})
		}
	}
	quantile := func(head string, of func(*analyze.DiskPoint) int64) spec[diskTimePoint] {
		return latency(head, hintDiskLatency, 0, func(w *diskTimePoint) (analyze.Distribution, int64) {
			return analyze.Distribution{Count: w.Count}, of(&w.DiskPoint)
		})
	}
	t := build("disks-time", "Disks over time", all, []spec[diskTimePoint]{
		{column{Head: "Disk", Kind: kindName}, func(w *diskTimePoint) cell { return named(w.disk) }},
		{column{Head: "UTC"}, func(w *diskTimePoint) cell { return word(pointTime(w.StartNs, w.Partial)) }},
		number("IOs", "", 0, func(w *diskTimePoint) cell { return counted(w.IOs) }),
		number("Read", "", 0, func(w *diskTimePoint) cell { return cell{Text: orAbsent(w.ReadBytes, BytesText)} }),
		number("Written", "", 0, func(w *diskTimePoint) cell { return cell{Text: orAbsent(w.WriteBytes, BytesText)} }),
		quantile("p50", func(w *analyze.DiskPoint) int64 { return w.P50 }),
		quantile("p99", func(w *analyze.DiskPoint) int64 { return w.P99 }),
		quantile("max", func(w *analyze.DiskPoint) int64 { return w.Max }),
		odd("Lost", "IOs lost or left out in this time, all disks", 0, func(w *diskTimePoint) cell { return alarmed(w.Lost, toneBad) }),
	})
	t.Note = joinNotes(note, lossNote(a, "ios"))
	return t
}

// faultPoint is a window of a service in which something went wrong.
type faultPoint struct {
	analyze.NetworkPoint
	service string
}

// networkTimeTable lists the windows in which something went wrong, in the
// order of the services.
func networkTimeTable(a *analyze.Analysis) table {
	all, note := []faultPoint{}, ""
	for _, n := range a.Network[:min(len(a.Network), chartLimit)] {
		p := faultPoints.period(a.WindowNs, n.Series).within(timePoints)
		if len(n.Series) == 0 || p.window <= 0 {
			continue
		}
		note = "Each row is " + roundText(p.window) + "."
		for _, w := range faultPoints.thin(p, n.Series) {
			if w.Retransmits+w.Resets+w.Drops+w.Overflows > 0 {
				all = append(all, faultPoint{w, n.Service})
			}
		}
	}
	t := build("network-time", "Network faults over time", all, []spec[faultPoint]{
		{column{Head: "Service", Kind: kindName, Hint: hintNobody}, func(w *faultPoint) cell { return named(w.service) }},
		{column{Head: "UTC"}, func(w *faultPoint) cell { return word(pointTime(w.StartNs, w.Partial)) }},
		number("Retransmits", hintRetransmits, 0, func(w *faultPoint) cell { return alarmed(w.Retransmits, toneWarn) }),
		number("Resets", "sent and received", 0, func(w *faultPoint) cell { return alarmed(w.Resets, toneWarn) }),
		number("Drops", "", 0, func(w *faultPoint) cell { return alarmed(w.Drops, toneWarn) }),
		odd("Turned away", "connections for which a listener's queue had no room", 0, func(w *faultPoint) cell { return alarmed(w.Overflows, toneBad) }),
	})
	t.Note = joinNotes(note+" Rows without any are left out, and so is what was not recorded.", lossNote(a, "netevents", "acceptqueues"))
	return t
}

// nodeDefinitions explains the words of what the collectors beside tcp tell,
// as far as there is any of it.
func nodeDefinitions(a *analyze.Analysis) []definition {
	d := []definition{}
	if len(a.Disks) > 0 {
		d = append(d,
			definition{"Disk latency", "Time " + hintDiskLatency + ". Queue is the time " + strings.TrimSuffix(hintDiskQueue, "; of IOs whose time in the queue is known") +
				": many IOs at once, a scheduler, a limit. Device is the time " + hintDiskDevice + ". A slow queue before a quick device is overload; a slow device is the disk."},
			definition{"Flusher", "What processes write through the page cache is asked of the disk later, by the kernel's own threads: the IO is theirs, not the process's."},
			definition{"Done by", "A loop device, mapping or raid hands its IO to other disks, which count it too. Added up, it counts twice."})
	}
	if len(a.Network) > 0 {
		d = append(d,
			definition{"Retransmits", "With services: events while recording. With edges: over the life of connections that ended."},
			definition{"RTT", "Smoothed round trip time of connections, as the kernel had it at their close."})
	}
	if len(a.Drops) > 0 {
		d = append(d, definition{"Dropped packets", "Packets the kernel gave up, with its own word for the reason; those of a normal close are not counted. Where nobody listened, there is no service."})
	}
	return d
}
