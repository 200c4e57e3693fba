package finding

import "fmt"

// findReceiveLivelock finds nodes whose kernel is busy with packets that nobody
// gets (Mogul and Ramakrishnan, 1996):
//
//	ksoftirqd / window ≥ min_softirq_cores
//	drops ≥ min_drops_per_s, and twice the reference
//	bytes that programs received ≤ max_received_ratio of the reference;
//	max_received_busy while ksoftirqd uses min_softirq_share of the CPUs
//
// Without a reference nothing can be said: a busy network looks the same.
func findReceiveLivelock(s *search) {
	healthy := map[string]int{}
	if s.baseline != nil {
		for i, n := range s.baseline.Nodes {
			healthy[n.Name] = i
		}
	}
	for node := range s.in.Nodes {
		name, p := s.in.Nodes[node].Name, s.packetsOf(s.in, node)
		if !s.judge(ReceiveLivelock, name, p.sight) {
			continue
		}
		drops, chunks := s.quietOf(p.drops), s.quietOf(p.bytes.inverse())
		if i, ok := healthy[name]; ok {
			h := s.packetsOf(s.baseline, i)
			drops, chunks = referenceOf(FromBaseline, h.drops), referenceOf(FromBaseline, h.bytes.inverse())
		}
		s.receiveLivelock(node, p, drops, s.most(chunks))
	}
}

// packets is what a node's kernel did with packets, a second.
type packets struct {
	sight
	softirq series // CPUs
	drops   series
	bytes   series // that programs received
}

func (s *search) packetsOf(in *Input, node int) packets {
	n := len(in.Windows)
	p := packets{sight: s.sightOf(in, node, []table{exchanges, intervals, netEvents}), softirq: blank(n), drops: blank(n), bytes: blank(n)}
	for i := range n {
		if !p.ok[i] {
			continue
		}
		w := &in.Nodes[node].Windows[i]
		p.softirq[i] = float64(w.SoftirqNs) / float64(in.WindowNs)
		p.drops[i] = float64(w.Drops) / float64(in.WindowNs) * 1e9
		sum := int64(0)
		for k := range in.Instances {
			if in.Instances[k].Node == node {
				sum += max(in.Instances[k].Windows[i].BytesIn, 0)
			}
		}
		p.bytes[i] = float64(sum) / float64(in.WindowNs) * 1e9
	}
	return p
}

func (s *search) receiveLivelock(node int, p packets, drops, bytes Reference) {
	of := func(name string) float64 { return s.rules.of(ReceiveLivelock, name) }
	hold, looks := make([]bool, len(p.ok)), make([]bool, len(p.ok))
	for i := range hold {
		looks[i] = p.softirq[i] >= of("min_softirq_cores") && p.drops[i] >= max(of("min_drops_per_s"), 2*drops.Median)
		hold[i] = looks[i] && bytes.Median >= of("min_bytes_per_s") && bytes.ratio(p.bytes[i]) <= s.mostReceived(node, p.softirq[i])
	}
	least := int(of("min_windows"))
	run, ok := longest(hold, least)
	if !ok {
		if _, ok := longest(looks, least); ok {
			s.checks[ReceiveLivelock].Rejected++
		}
		return
	}
	name := s.in.Nodes[node].Name
	f := s.finding(ReceiveLivelock, Subject{Type: "node", Name: name, Host: name}, run)
	softirq, dropped, got := p.softirq.over(run), p.drops.over(run), p.bytes.over(run)
	f.Title = fmt.Sprintf("the kernel of %s spends %.1f CPUs on packets, drops %.3g a second, and programs get %s of what they used to", name, softirq, dropped, share(bytes.ratio(got)))
	f.Evidence = append(f.Evidence,
		fact("softirq_cores", softirq, "ksoftirqd uses %.2f CPUs", softirq).held(of("min_softirq_cores"), nan),
		fact("drops_per_s", dropped, "%.3g packets of TCP are dropped a second, before %.3g", dropped, drops.Median).held(of("min_drops_per_s"), drops.value()),
		fact("received_bytes_per_s", got, "programs receive %.3g bytes a second, %s of the %.3g of %s", got, share(bytes.ratio(got)), bytes.Median, bytes.Source).
			held(s.mostReceived(node, softirq)*bytes.Median, bytes.Median))
	f.Severity, f.Reference, f.Coverage = Critical, bytes.Source, p.within(run)
	f.Confidence = confidence(3, 0, bytes)
	f.Alternative = "a full receive queue of a program that does not read: then ksoftirqd is not busy"
	f.NextStep = "`mpstat -P ALL 1` (%soft), `nstat -az '*Drop*'` and /proc/net/softnet_stat on " + name + "; drops by reason in the report; then more receive queues (`ethtool -L`, RPS), or a filter before the stack"
	s.add(f)
}

// mostReceived is what programs of a node may have received in a livelock, against
// the reference, while ksoftirqd uses so many CPUs.
func (s *search) mostReceived(node int, softirqCores float64) float64 {
	if softirqCores >= s.rules.of(ReceiveLivelock, "min_softirq_share")*float64(s.in.Nodes[node].CPUs) {
		return s.rules.of(ReceiveLivelock, "max_received_busy")
	}
	return s.rules.of(ReceiveLivelock, "max_received_ratio")
}
