package finding

import (
	"math"
	"slices"

	"kmon/analyze/stat"
)

// explained looks for what makes a slow replica no slow node: more requests,
// other work, a quota or a busy CPU, a callee, or an observer. It fills in what
// the evidence needs.
func (s *search) explained(t *traffic, l *late) bool {
	l.rate = s.rateOf(t, l)
	l.own, l.ownRef, l.serverShare = s.serverSide(t, l)
	l.term = math.NaN()
	if m, ok := s.late(seenOf, l.run); ok && l.host != "" {
		l.term = math.Exp(m.to[l.host])
		if l.term < s.rules.of(SlowNode, "min_node_term") {
			return true // who asks it is late with whatever he asks
		}
	}
	return l.rate >= s.rules.of(SlowNode, "max_rate_ratio") ||
		s.otherWork(t, l) || s.waitsForCPU(l) || s.waitsForCallee(t, l) ||
		s.foundBefore(l.run, []int{l.index(t)}, Overload, CPUSaturation, CPUThrottling, IOLimit) ||
		s.limpingNIC(t, l.host, l.run) != nil
}

func (l *late) index(t *traffic) int { return t.cells[l.cells[0]].edge.Server.Index }

// rateOf is how often a replica is asked, by a healthy capture, else by its peers
// or its own time before the run, whichever is more.
func (s *search) rateOf(t *traffic, l *late) float64 {
	rate := func(r replica) series {
		sum := blank(len(t.in.Windows))
		for w := range sum {
			for _, v := range t.valuesAt(t.to[r], w, requestsOf) {
				sum[w] = v + max(sum[w], 0) // NaN before the first
				if math.IsNaN(sum[w]) {
					sum[w] = v
				}
			}
		}
		return sum
	}
	own := rate(l.replica)
	if base := baseRate(t, l.cells); base > 0 {
		return own.over(l.run) / base
	}
	var peers []float64
	for _, r := range t.others(l.replica) {
		peers = append(peers, rate(r).over(l.run))
	}
	most := referenceOf(FromPeers, peers).ratio(own.over(l.run))
	if before := referenceOf(FromQuiet, own[:l.run.first].known()); before.N >= int(s.rules.of(SlowNode, "min_reference")) {
		most = largest(most, before.ratio(own.over(l.run)))
	}
	return most
}

func baseRate(t *traffic, cells []int) float64 {
	sum := 0.0
	for _, i := range cells {
		if r := t.cells[i].requests.base; r.N > 0 {
			sum += r.Median
		}
	}
	return sum
}

// largest of two, of which one may not be known.
func largest(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// serverSide compares a replica's own end with the clients': how much of the added
// latency it shows itself. NaN: an end was not recorded.
func (s *search) serverSide(t *traffic, l *late) (own, ref, shown float64) {
	var at, refs, shares []float64
	for _, i := range l.cells {
		c, peers := &t.cells[i], t.peersOf(i)
		if !c.atClient {
			continue
		}
		for w := l.run.first; w <= l.run.last; w++ {
			seenRef := s.against(&c.seen, t.valuesAt(peers, w, seenOf))
			ownRef := s.against(&c.own, t.valuesAt(peers, w, ownOf))
			added, addedOwn := c.seen.at[w]-seenRef.Median, c.own.at[w]-ownRef.Median
			if seenRef.N > 0 && ownRef.N > 0 && added > 0 && !math.IsNaN(addedOwn) {
				at, refs, shares = append(at, c.own.at[w]), append(refs, ownRef.Median), append(shares, addedOwn/added)
			}
		}
	}
	return stat.Median(at), stat.Median(refs), stat.Median(shares)
}

// otherWork: its requests or answers have another size than those of its peers, so
// that it does other work.
func (s *search) otherWork(t *traffic, l *late) bool {
	own := t.sizes(l.cells, l.run)
	var requests, answers []float64
	for _, r := range t.others(l.replica) {
		size := t.sizes(t.to[r], l.run)
		requests, answers = append(requests, size[0]), append(answers, size[1])
	}
	most := s.rules.of(SlowNode, "max_size_ratio")
	return referenceOf(FromPeers, requests).ratio(own[0]) > most || referenceOf(FromPeers, answers).ratio(own[1]) > most
}

// sizes are the bytes of a request and of an answer in a run; NaN: none.
func (t *traffic) sizes(cells []int, run span) [2]float64 {
	var count, bytes, answers int64
	for _, i := range cells {
		e := t.cells[i].edge
		for w := run.first; w <= run.last; w++ {
			r := &e.Windows[w].AtServer
			if e.ClientRecorded {
				r = &e.Windows[w].AtClient
			}
			count, bytes, answers = count+max(r.Count, 0), bytes+max(r.Bytes, 0), answers+max(r.Answers, 0)
		}
	}
	if count == 0 {
		return [2]float64{math.NaN(), math.NaN()}
	}
	return [2]float64{float64(bytes) / float64(count), float64(answers) / float64(count)}
}

// waitsForCPU: a good part of what its own end takes longer, its threads were
// ready and had no CPU, or had used up their quota.
func (s *search) waitsForCPU(l *late) bool {
	i := l.index(s.cells)
	if i < 0 || math.IsNaN(l.own) {
		return false
	}
	var waits []float64
	for w := l.run.first; w <= l.run.last; w++ {
		v := &s.in.Instances[i].Windows[w]
		if v.Served.Count > 0 && v.RunQueueNs >= 0 {
			waits = append(waits, float64(v.RunQueueNs+max(v.ThrottledNs, 0))/float64(v.Served.Count))
		}
	}
	return stat.Median(waits) >= s.rules.of(SlowNode, "max_cpu_wait_share")*(l.own-l.ownRef)
}

// waitsForCallee: what it asks on other nodes takes up most of the difference to
// its peers.
func (s *search) waitsForCallee(t *traffic, l *late) bool {
	i := l.index(t)
	if i < 0 || !(l.seen > l.ref) {
		return false
	}
	own := s.outside(t, i, l.host, l.run)
	var peers []float64
	for _, r := range t.others(l.replica) {
		if k := t.cells[t.to[r][0]].edge.Server.Index; k >= 0 {
			peers = append(peers, s.outside(t, k, r.host, l.run))
		}
	}
	more := own - referenceOf(FromPeers, peers).Median
	return more >= s.rules.of(SlowNode, "max_callee_share")*(l.seen-l.ref)
}

// outside is how long an instance waits for answers from other nodes, for each
// request it serves, in ns.
func (s *search) outside(t *traffic, instance int, host string, run span) float64 {
	in := &s.in.Instances[instance]
	var each []float64
	for w := run.first; w <= run.last; w++ {
		if in.Windows[w].Served.Count <= 0 {
			continue
		}
		sum := 0.0
		for _, i := range t.asks(instance) {
			if e := t.cells[i].edge; e.Server.Host != host {
				sum += totalNs(&e.Windows[w].AtClient)
			}
		}
		each = append(each, sum/float64(in.Windows[w].Served.Count))
	}
	return stat.Median(each)
}

// asks are the cells of an instance's own requests that were recorded at its end.
func (t *traffic) asks(instance int) []int {
	if instance < 0 || instance >= len(t.in.Instances) {
		return nil
	}
	if t.asked == nil {
		t.asked = make([][]int, len(t.in.Instances))
		for i := range t.cells {
			if k := t.cells[i].edge.Client.Index; t.cells[i].atClient && k >= 0 && k < len(t.asked) {
				t.asked[k] = append(t.asked[k], i)
			}
		}
	}
	return t.asked[instance]
}

// totalNs adds up latencies.
func totalNs(r *Requests) float64 { return float64(r.Latency.Mean()) * float64(r.Latency.Count()) }

// foundBefore: a rule found one of the kinds about one of the instances, at a time
// that overlaps a run.
func (s *search) foundBefore(run span, instances []int, kinds ...Kind) bool {
	start, end := s.in.StartNs+int64(run.first)*s.in.WindowNs, s.in.StartNs+int64(run.last+1)*s.in.WindowNs
	for i := range s.found {
		f := &s.found[i]
		if slices.Contains(kinds, f.Kind) && f.StartNs < end && f.EndNs > start && overlap(s.instancesOf(f), instances) {
			return true
		}
	}
	return false
}

func overlap(a, b []int) bool {
	return slices.ContainsFunc(a, func(i int) bool { return i >= 0 && slices.Contains(b, i) })
}
