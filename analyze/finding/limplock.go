package finding

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// A limping part (a disk, node or way that an earlier rule found) holds up an
// instance in the windows in which at least min_blocked of its time is waiting for
// it: of its threads' time off the CPUs for work the disk's part, of the time that
// it serves requests the part of its calls to the limping node or way; and its
// callers, by their calls to it. How far it spread is the level:
//   - operation: requests wait for it;
//   - node: an instance does at most max_throughput of what it did, on at most
//     max_cpu of the CPU, so it is stuck and not busy, while others in its place
//     are healthy;
//   - cluster: so does at least min_cluster_share of the services that reach it.
//
// Source: Limplock (Do et al., SoCC 2013).
func findLimplock(s *search) {
	check := s.checks[Limplock]
	if len(s.in.Edges) == 0 && len(s.in.Disks) == 0 {
		check.NotRecorded = "requests and IOs"
		return
	}
	for _, part := range slices.Clone(s.found) {
		switch part.Kind {
		case LimpingDisk, SlowNode, SlowPath:
			check.Judged++
			s.judgeLimp(&part)
		}
	}
}

// blocked is an instance that waits for a limping part.
type blocked struct {
	instance, waitsFor int     // waitsFor: the instance in between; -1: the part itself
	share              float64 // of its time, median of the windows of the part's finding
	run                span
	throughput, cpu    float64 // by the reference; NaN: there is none
}

// judgeLimp follows from one part who waits for it.
func (s *search) judgeLimp(part *Finding) {
	run := s.runOf(part)
	var held []blocked
	for i := range s.in.Instances {
		if b, ok := s.blockedIn(i, -1, s.shareOf(part, i), run); ok {
			held = append(held, b)
		}
	}
	// Breadth first: the callers of those that wait, then theirs.
	for k := 0; k < len(held); k++ {
		for _, i := range s.traffic().callers(held[k].instance) {
			if i == held[k].instance || slices.ContainsFunc(held, func(b blocked) bool { return b.instance == i }) {
				continue
			}
			if b, ok := s.blockedIn(i, held[k].instance, s.callShare(i, held, s.in.Instances[held[k].instance].Service), run); ok {
				held = append(held, b)
			}
		}
	}
	if len(held) > 0 {
		s.reportLimplock(part, held)
	}
}

// callers are the instances that ask an instance, sorted.
func (t *traffic) callers(instance int) []int {
	if t.askedBy == nil {
		t.askedBy = map[int][]int{}
		for i := range t.cells {
			e := t.cells[i].edge
			if t.cells[i].atClient && e.Client.Index >= 0 && e.Server.Index >= 0 {
				t.askedBy[e.Server.Index] = append(t.askedBy[e.Server.Index], e.Client.Index)
			}
		}
		for k, list := range t.askedBy {
			slices.Sort(list)
			t.askedBy[k] = slices.Compact(list)
		}
	}
	return t.askedBy[instance]
}

// runOf is the run of windows of a finding.
func (s *search) runOf(f *Finding) span {
	first := int((f.StartNs - s.in.StartNs) / s.in.WindowNs)
	last := int((f.EndNs-s.in.StartNs)/s.in.WindowNs) - 1
	return span{first, min(last, len(s.in.Windows)-1), f.Windows}
}

// blockedIn says whether an instance waits for a part in enough windows of its run.
// Who waited as much, and got his answers as late, just before the part limped,
// waits for something else.
func (s *search) blockedIn(i, waitsFor int, part series, run span) (blocked, bool) {
	least := int(s.rules.of(Limplock, "min_windows"))
	from := max(run.first-1-int(s.in.ClockErrorNs/max(s.in.WindowNs, 1)), 0)
	hold := make([]bool, len(part))
	for w := from; w <= run.last; w++ {
		hold[w] = part[w] >= s.rules.of(Limplock, "min_blocked")
	}
	found, ok := longest(hold, least)
	if !ok {
		return blocked{}, false
	}
	if before := (span{max(from-least, 0), from - 1, 0}); from > 0 && part.over(before) >= s.rules.of(Limplock, "min_blocked") &&
		!(s.latencyOf(i).over(found) >= s.rules.of(Limplock, "min_latency_ratio")*s.latencyOf(i).over(before)) {
		return blocked{}, false
	}
	b := blocked{instance: i, waitsFor: waitsFor, share: part.over(found), run: found}
	b.throughput = s.change(i, found, func(w *InstanceWindow) float64 {
		return float64(finished(&w.Served) + finished(&w.Asked))
	})
	b.cpu = s.change(i, found, func(w *InstanceWindow) float64 { return float64(w.OnCPUNs) })
	return b, true
}

func finished(r *Requests) int64 { return max(r.Count-max(r.InFlight, 0)-max(r.Errors, 0), 0) }

// latencyOf is the median latency of what an instance serves, or asks if it serves
// nobody, by window.
func (s *search) latencyOf(i int) series {
	v := blank(len(s.in.Windows))
	for w := range v {
		r := &s.in.Instances[i].Windows[w]
		switch {
		case r.Served.Latency.Count() > 0:
			v[w] = float64(r.Served.Latency.Quantile(0.5))
		case r.Asked.Latency.Count() > 0:
			v[w] = float64(r.Asked.Latency.Quantile(0.5))
		}
	}
	return v
}

// change is a value of an instance in a run by that of a healthy capture, else
// of the time before; NaN: there is none.
func (s *search) change(i int, run span, value func(*InstanceWindow) float64) float64 {
	in := &s.in.Instances[i]
	of := func(in *Instance, windows []Window, from, to int) []float64 {
		var list []float64
		for w := from; w < to; w++ {
			if v := value(&in.Windows[w]); !windows[w].Partial && v >= 0 {
				list = append(list, v)
			}
		}
		return list
	}
	ref := Reference{}
	if s.baseline != nil {
		var healthy []float64
		for k := range s.baseline.Instances {
			if b := &s.baseline.Instances[k]; b.Service == in.Service {
				healthy = append(healthy, of(b, s.baseline.Windows, 0, len(b.Windows))...)
			}
		}
		ref = referenceOf(FromBaseline, healthy)
	}
	if ref.N == 0 {
		ref = referenceOf(FromQuiet, of(in, s.in.Windows, 0, run.first))
	}
	if ref.N < int(s.rules.of(Limplock, "min_reference")) {
		return math.NaN()
	}
	return ref.ratio(stat.Median(of(in, s.in.Windows, run.first, run.last+1)))
}

// shareOf is the part of an instance's time that it waits for a limping part
// itself, by window.
func (s *search) shareOf(part *Finding, i int) series {
	if part.Kind == LimpingDisk {
		return s.diskShare(part, i)
	}
	return s.callsShare(i, func(c *cell) bool {
		switch part.Subject.Type {
		case "node":
			return c.server.host == part.Subject.Host || part.Kind == SlowPath && c.client.host == part.Subject.Host && c.server.host != part.Subject.Host
		case "edge":
			return wayText(wayKey(c)) == part.Subject.Name
		}
		return c.server.instanceText() == part.Subject.Name && c.server.host == part.Subject.Host
	})
}

// diskShare: of the time that an instance serves requests, what its threads waited
// for disks, by the limping disk's part of its IO time; of one that serves nobody,
// of the time its threads were off the CPUs for work. Where waits were not
// recorded, its IO time by the time it served requests.
func (s *search) diskShare(part *Finding, i int) series {
	v := blank(len(s.in.Windows))
	in := &s.in.Instances[i]
	if s.in.Nodes[in.Node].Name != part.Subject.Host {
		return v
	}
	for w := range v {
		onPart, onAll := 0.0, 0.0
		for d := range s.in.Disks {
			disk := &s.in.Disks[d]
			if disk.Node != in.Node || len(disk.Below) > 0 && !disk.is(part.Subject.Name) {
				continue // what it passes on is counted below
			}
			for _, u := range disk.Windows[w].Users {
				if u.Instance == i {
					onAll += float64(u.TotalNs)
					if disk.is(part.Subject.Name) {
						onPart += float64(u.TotalNs)
					}
				}
			}
		}
		if onPart == 0 || s.in.Windows[w].Partial {
			continue
		}
		q := &in.Windows[w].Waits
		cover, least := s.in.Nodes[in.Node].Windows[w].Coverage, s.rules.of(Limplock, "min_coverage")
		served := 0.0 // ns
		if cover.Exchanges >= least {
			served = totalNs(&in.Windows[w].Served)
		}
		waits := q.Disk.Count >= 0 && cover.OffCPU >= least
		work := float64(q.Lock.TotalNs + q.Disk.TotalNs + q.Network.TotalNs + q.Pipe.TotalNs + q.PageFault.TotalNs + q.Other.TotalNs)
		switch {
		case waits && served > 0:
			v[w] = math.Min(float64(q.Disk.TotalNs)*onPart/onAll/served, 1)
		case waits && work > 0:
			v[w] = float64(q.Disk.TotalNs) * onPart / onAll / work
		case served > 0:
			v[w] = math.Min(onPart/served, 1)
		}
	}
	return v
}

// callsShare: of the time that an instance serves requests, what it waits for
// answers from the picked cells; of an instance that serves nobody, the part of
// all it asks.
func (s *search) callsShare(i int, pick func(*cell) bool) series {
	t := s.traffic()
	v := blank(len(s.in.Windows))
	in := &s.in.Instances[i]
	for w := range v {
		if s.in.Windows[w].Partial || s.in.Nodes[in.Node].Windows[w].Coverage.Exchanges < s.rules.of(Limplock, "min_coverage") {
			continue
		}
		on, all := 0.0, totalNs(&in.Windows[w].Served)
		asked := 0.0
		for _, k := range t.asks(i) {
			ns := totalNs(&t.cells[k].edge.Windows[w].AtClient)
			asked += ns
			if pick(&t.cells[k]) {
				on += ns
			}
		}
		if all == 0 {
			all = asked
		}
		if on > 0 {
			v[w] = math.Min(on/all, 1)
		}
	}
	return v
}

// callShare is the part of its time that an instance waits for those instances of
// a service that are held up.
func (s *search) callShare(i int, held []blocked, service string) series {
	return s.callsShare(i, func(c *cell) bool {
		k := c.edge.Server.Index
		return c.server.service == service && k >= 0 && slices.ContainsFunc(held, func(b blocked) bool { return b.instance == k })
	})
}

// stuck: it does much less than it did and is not busy.
func (s *search) stuck(b *blocked) bool {
	return b.throughput <= s.rules.of(Limplock, "max_throughput") && b.cpu <= s.rules.of(Limplock, "max_cpu")
}

// alternatives counts healthy others in the place of those that are held up:
// instances of the services asked or stuck that are not.
func (s *search) alternatives(part *Finding, held []blocked) int {
	limping := s.instancesOf(part)
	services := map[string]bool{}
	for _, i := range limping {
		services[s.in.Instances[max(i, 0)].Service] = true
	}
	for _, b := range held {
		services[s.in.Instances[b.instance].Service] = true
	}
	n := 0
	for i := range s.in.Instances {
		if !services[s.in.Instances[i].Service] || slices.Contains(limping, i) || slices.ContainsFunc(held, func(b blocked) bool { return b.instance == i }) {
			continue
		}
		n++
	}
	if part.Kind == LimpingDisk {
		for i := range s.in.Disks {
			if d := &s.in.Disks[i]; s.in.Nodes[d.Node].Name == part.Subject.Host && !d.is(part.Subject.Name) && len(d.users()) > 0 {
				n++
			}
		}
	}
	return n
}

// level says how far it spread, with who is stuck, and of how many services that
// reach the part.
func (s *search) level(part *Finding, held []blocked) (level string, stuck []int, services int) {
	reach, stopped := map[string]bool{}, map[string]bool{}
	for k := range held {
		b := &held[k]
		service := s.in.Instances[b.instance].Service
		reach[service] = true
		if s.stuck(b) {
			stuck = append(stuck, b.instance)
			stopped[service] = true
		}
	}
	switch {
	case len(stopped) >= 2 && float64(len(stopped)) >= s.rules.of(Limplock, "min_cluster_share")*float64(len(reach)) && s.nodesOf(stuck) > 1:
		return "cluster", stuck, len(reach)
	case len(stuck) > 0 && s.alternatives(part, held) > 0:
		return "node", stuck, len(reach)
	}
	return "operation", stuck, len(reach)
}

func (s *search) nodesOf(instances []int) int {
	nodes := map[int]bool{}
	for _, i := range instances {
		nodes[s.in.Instances[i].Node] = true
	}
	return len(nodes)
}

func (s *search) reportLimplock(part *Finding, held []blocked) {
	level, stuck, reach := s.level(part, held)
	first := held[0]
	run := first.run
	for _, b := range held {
		run.first, run.last = min(run.first, b.run.first), max(run.last, b.run.last)
	}
	f := s.finding(Limplock, part.Subject, run)
	f.Severity = map[string]Severity{"operation": Info, "node": Warning, "cluster": Critical}[level]
	f.Title = limpTitle(level, part.Subject.Name, len(stuck), len(held), reach)
	f.Reference = cmp.Or(part.Reference, "the time before")
	f.Coverage = part.Coverage
	f.Confidence = part.Confidence * map[string]float64{"operation": 0.8, "node": 0.9, "cluster": 1}[level]
	f.Alternative = "those that wait ask it for more than they did, and would wait for a healthy one too."
	f.NextStep = fmt.Sprintf("take %s out of service (drain the node, fail the disk over) and see whether the others recover; meanwhile shorten their time-outs", part.Subject.Name)
	for k := range held {
		if k == 8 {
			f.Evidence = append(f.Evidence, fact("blocked_more", float64(len(held)-k), "and %d more wait for these", len(held)-k))
			break
		}
		f.Evidence = append(f.Evidence, s.limpEvidence(part, &held[k]))
	}
	if n := s.alternatives(part, held); n > 0 {
		f.Evidence = append(f.Evidence, fact("healthy_alternatives", float64(n), "%d others in its place are healthy, and nobody turned to them enough", n))
	} else {
		f.CounterEvidence = append(f.CounterEvidence, fact("healthy_alternatives", 0, "nothing healthy was seen that they could have turned to"))
	}
	if len(stuck) == 0 {
		f.CounterEvidence = append(f.CounterEvidence, fact("stuck", 0, "nobody does much less than before: it only makes requests late"))
	}
	s.add(f)
}

func limpTitle(level, part string, stuck, held, reach int) string {
	switch level {
	case "cluster":
		return fmt.Sprintf("%s holds up the cluster: %d instances of the %d services that reach it are stuck", part, stuck, reach)
	case "node":
		return fmt.Sprintf("%s holds up whole instances: %d are stuck in waiting for it, and do not turn elsewhere", part, stuck)
	}
	if held == 1 {
		return fmt.Sprintf("requests of 1 instance spend most of their time in waiting for %s", part)
	}
	return fmt.Sprintf("requests of %d instances spend most of their time in waiting for %s", held, part)
}

// limpEvidence is one link of the chain of who waits for whom.
func (s *search) limpEvidence(part *Finding, b *blocked) Evidence {
	in := &s.in.Instances[b.instance]
	target := part.Subject.Name
	if b.waitsFor >= 0 {
		target = s.in.Instances[b.waitsFor].Name
	}
	text := fmt.Sprintf("%s spends %s of its time in waiting for %s", in.Name, share(b.share), target)
	if !math.IsNaN(b.throughput) {
		text += fmt.Sprintf("; it answers %s of what it did, on %s of the CPU", share(b.throughput), share(b.cpu))
	}
	return fact("blocked_share", b.share, "%s", text).held(s.rules.of(Limplock, "min_blocked"), math.NaN())
}
