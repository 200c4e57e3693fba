package finding

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// Who asks a replica votes, window by window, whether it is late: the median
// latency of his requests to it is min_ratio times that of his requests to the
// other replicas (min_ratio_pair with only one other), and of a healthy capture
// where there is one. The server's own end votes too, where clients' ends were
// recorded. A replica is slow in the windows in which min_observers, and at least
// half of the voters, say so; one is enough where he is the only client of three
// replicas or more on one host, whose own ends were recorded and his was not. It must
// then be no load, quota, busy CPU or slow callee that explains it.
//
// Sources: IASO's votes of peers (ATC'19), Panorama's observers (OSDI'18), ADR's
// load control (NSDI'25).
func findSlowNode(s *search) {
	t := s.traffic()
	check := s.checks[SlowNode]
	if len(t.cells) == 0 {
		check.NotRecorded = "requests over TCP (collector tcp)"
		return
	}
	slow := map[string][]late{} // by host and, if that is not known, name
	for _, r := range t.replicas() {
		l, ok := s.judgeReplica(t, r)
		if ok {
			key := cmp.Or(r.host, r.instance)
			slow[key] = append(slow[key], l)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(slow)) {
		s.reportSlowNode(t, slow[key])
	}
}

// late is a replica that is slow in a run of windows.
type late struct {
	replica
	cells       []int
	run         span
	observers   []string // that voted slow in most windows of the run
	ratio       float64  // latency by its reference's, median of observers and windows
	seen, ref   float64  // latency and reference in ns
	source      string   // of the reference
	own, ownRef float64  // the server's end; NaN
	serverShare float64  // of the added latency that its own end shows; NaN: not recorded
	rate        float64  // of requests, by reference; NaN
	term        float64  // of the answering node in the additive model, as a factor; NaN
	others      int      // voters of the run that did not find it slow
}

// replicas are those of services with at least two on a port, sorted.
func (t *traffic) replicas() []replica {
	var list []replica
	for _, same := range t.service {
		for _, r := range same {
			if len(same) > 1 && (r.instance != "" || r.host != "") {
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, func(a, b replica) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.host, b.host), cmp.Compare(a.instance, b.instance), cmp.Compare(a.port, b.port))
	})
	return list
}

// vote is what one observer says of a replica in a window.
type vote struct {
	observer  string
	slow      bool
	value     float64
	reference Reference
}

// judgeReplica holds the vote on a replica; ok: it is slow and nothing plainer
// explains it.
func (s *search) judgeReplica(t *traffic, r replica) (late, bool) {
	cells := t.to[r]
	l := late{replica: r, cells: cells}
	votes := make([][]vote, len(t.in.Windows))
	hold := make([]bool, len(votes))
	judged, lone := 0, 0
	for w := range votes {
		votes[w] = s.votes(t, r, w)
		n := 0
		for _, v := range votes[w] {
			if v.slow {
				n++
			}
		}
		least := s.rules.of(SlowNode, "min_observers")
		if len(votes[w]) == 1 && t.ownAlone(r) {
			least = 1
		}
		if float64(len(votes[w])) >= least {
			judged++
		} else if len(votes[w]) > 0 {
			lone++
		}
		hold[w] = float64(n) >= max(least, s.rules.of(SlowNode, "min_votes_share")*float64(len(votes[w])))
	}
	least := int(s.rules.of(SlowNode, "min_windows"))
	if judged < least {
		why := t.whyNot(cells, s.rules.of(SlowNode, "min_samples_edge"))
		if lone >= least {
			why = "only one observer: it cannot be told from the way to it"
		}
		s.insufficient(SlowNode, r.String(), why)
		return l, false
	}
	s.checks[SlowNode].Judged++
	run, ok := longest(hold, least)
	if !ok {
		return l, false
	}
	l.run = run
	l.count(votes)
	if s.explained(t, &l) {
		s.checks[SlowNode].Rejected++
		return l, false
	}
	return l, true
}

// votes are those on a replica in a window, its own end's last.
func (s *search) votes(t *traffic, r replica, w int) []vote {
	var list []vote
	fromClients := false
	for _, i := range t.to[r] {
		c := &t.cells[i]
		if s.badWays[wayKey(c)] {
			continue // what he sees is the way
		}
		if v, ok := s.vote(&c.seen, t.valuesAt(t.peersOf(i), w, seenOf), w); ok {
			v.observer = c.client.String()
			list = append(list, v)
			fromClients = fromClients || c.atClient
		}
	}
	if !fromClients {
		return list
	}
	own, peers := t.ownOf(r), []float64{}
	for _, o := range t.others(r) {
		if v := t.ownOf(o).at[w]; !math.IsNaN(v) {
			peers = append(peers, v)
		}
	}
	if v, ok := s.vote(&own, peers, w); ok {
		v.observer = "its own end"
		list = append(list, v)
	}
	return list
}

// ownAlone says that one client asks a replica and at least two others on its host, and
// that only their own ends were recorded: the way to all of them is the same.
func (t *traffic) ownAlone(r replica) bool {
	all := append(t.others(r), r)
	return r.host != "" && len(all) > 2 && !slices.ContainsFunc(all, func(o replica) bool {
		return o.host != r.host || len(t.to[o]) != 1 || t.cells[t.to[o][0]].atClient || t.cells[t.to[o][0]].client != t.cells[t.to[r][0]].client
	})
}

// ownOf is the latency that a replica's own end shows, over all that ask it.
func (t *traffic) ownOf(r replica) track {
	if own, ok := t.ownEnds[r]; ok {
		return own
	}
	at := blank(len(t.in.Windows))
	var base []float64
	for w := range at {
		at[w] = stat.Median(t.valuesAt(t.to[r], w, ownOf))
	}
	n := math.MaxInt
	for _, i := range t.to[r] {
		base = append(base, t.cells[i].own.base.Median)
		n = min(n, t.cells[i].own.base.N)
	}
	ref := referenceOf(FromBaseline, base)
	ref.N = n
	t.ownEnds[r] = track{at: at, base: ref}
	return t.ownEnds[r]
}

// others are the other replicas of the same service, at most maxPeers.
func (t *traffic) others(r replica) []replica {
	same := t.service[r.asked()]
	at := slices.Index(same, r)
	var list []replica
	for n := 1; n < len(same) && n <= maxPeers; n++ {
		list = append(list, same[(at+n)%len(same)])
	}
	return list
}

// vote compares a latency with the same observer's to the peers, and with a
// healthy capture; ok is false if there is nothing to compare.
func (s *search) vote(t *track, peers []float64, w int) (v vote, ok bool) {
	v.value = t.at[w]
	if math.IsNaN(v.value) || len(peers) == 0 {
		return v, false
	}
	v.reference = referenceOf(FromPeers, peers)
	least := s.rules.of(SlowNode, "min_ratio")
	if len(peers) == 1 {
		v.slow = v.reference.ratio(v.value) >= s.rules.of(SlowNode, "min_ratio_pair")
	} else {
		v.slow = v.reference.ratio(v.value) >= least && v.reference.z(v.value) >= s.rules.of(SlowNode, "min_z")
	}
	if t.base.N >= int(s.rules.of(SlowNode, "min_reference")) {
		v.slow = v.slow && t.base.ratio(v.value) >= least
		v.reference = t.base
	}
	v.slow = v.slow && v.value-v.reference.Median >= 1e3*s.rules.of(SlowNode, "min_added_us")
	return v, true
}

// count sums up the votes of the run.
func (l *late) count(votes [][]vote) {
	said, windows := map[string]int{}, map[string]int{}
	var ratios, values, refs []float64
	for w := l.run.first; w <= l.run.last; w++ {
		for _, v := range votes[w] {
			windows[v.observer]++
			if !v.slow {
				continue
			}
			said[v.observer]++
			ratios, values, refs = append(ratios, v.reference.ratio(v.value)), append(values, v.value), append(refs, v.reference.Median)
			l.source = v.reference.Source
		}
	}
	for _, name := range slices.Sorted(maps.Keys(windows)) {
		if 2*said[name] >= windows[name] {
			l.observers = append(l.observers, name)
		} else {
			l.others++
		}
	}
	l.ratio, l.seen, l.ref = stat.Median(ratios), stat.Median(values), stat.Median(refs)
}

// reportSlowNode reports the slow replicas of one node: the node, unless other
// replicas on it are as fast as their peers elsewhere.
func (s *search) reportSlowNode(t *traffic, slow []late) {
	slices.SortStableFunc(slow, func(a, b late) int {
		return cmp.Or(cmp.Compare(b.run.held, a.run.held), cmp.Compare(b.ratio, a.ratio))
	})
	l := slow[0]
	subject := Subject{Type: "instance", Name: cmp.Or(l.instance, l.service), Service: l.service, Host: l.host}
	if i := l.index(t); i >= 0 && len(s.in.Instances[i].PIDs) == 1 {
		subject.PID = s.in.Instances[i].PIDs[0]
	}
	healthy := s.inTime(t, slow)
	if l.host != "" && len(healthy) == 0 && t.peersElsewhere(&l) {
		subject = Subject{Type: "node", Name: l.host, Host: l.host}
	}
	f := s.finding(SlowNode, subject, l.run)
	f.Reference, f.lagNs = l.source, l.seen
	f.Coverage = t.leastCoverage(l.cells, l.run)
	f.Title = fmt.Sprintf("answers of %s take %s times as long as they should, %s", subject.Name, ratioText(l.ratio), l.whoSays())
	f.Alternative = "this replica gets other work than its peers: larger answers, colder caches, another shard."
	f.NextStep = fmt.Sprintf("on %s: `mpstat -P ALL 1`, and `turbostat` or /proc/cpuinfo for the clock; then the node's flame graphs against a peer's", cmp.Or(l.host, subject.Name))
	f.Confidence = l.confidence(len(slow))
	f.Evidence = s.slowEvidence(&l, slow)
	if s.baseline != nil && l.ratio >= s.rules.of(SlowNode, "critical_ratio") && f.Confidence >= 0.8 {
		f.Severity = Critical
	}
	if l.others > 0 {
		f.CounterEvidence = append(f.CounterEvidence, fact("observers_against", float64(l.others), "%d of %d observers do not find it slow", l.others, l.others+len(l.observers)))
	}
	if len(healthy) > 0 {
		f.CounterEvidence = append(f.CounterEvidence, fact("replicas_in_time", float64(len(healthy)), "on the same node %s answers in time: it is this instance, not the node", healthy[0]))
	}
	if l.serverShare < s.rules.of(SlowNode, "min_server_share") {
		f.CounterEvidence = append(f.CounterEvidence, fact("server_share", l.serverShare, "its own end shows only %s of the delay: requests wait before it reads them, or on the node's network", share(l.serverShare)))
	}
	s.add(f)
}

// lone says that one client asked the replicas, whose own ends tell of it.
func (l *late) lone() bool { return len(l.observers)+l.others == 1 }

func (l *late) whoSays() string {
	if l.lone() {
		return "its own end says"
	}
	return fmt.Sprintf("say %d observers", len(l.observers))
}

// whoWaits names the observers.
func (l *late) whoWaits() string {
	if l.lone() {
		return l.observers[0] + " alone asks, and has to wait"
	}
	return fmt.Sprintf("%d of %d observers (%s) wait", len(l.observers), len(l.observers)+l.others, few(l.observers))
}

func (l *late) confidence(replicas int) float64 {
	c := 0.5
	if l.lone() {
		c = 0.4
	}
	for _, more := range []bool{len(l.observers) > 2, replicas > 1, l.serverShare >= 0.5, l.term >= 2, l.source == FromBaseline, l.ratio >= 5} {
		if more {
			c += 0.1
		}
	}
	if l.others > 0 {
		c -= 0.1
	}
	return min(c, 0.95)
}

func (s *search) slowEvidence(l *late, slow []late) []Evidence {
	list := []Evidence{
		fact("latency_ratio", l.ratio, "%s %s for %s, %.1f times the %s of its %s", l.whoWaits(), timeText(l.seen), l.instanceText(), l.ratio, timeText(l.ref), referenceText(l.source)).held(s.rules.of(SlowNode, "min_ratio"), 1),
	}
	if !math.IsNaN(l.serverShare) {
		list = append(list, fact("own_p50_ns", l.own, "its own end takes %s against %s: %s of the delay", timeText(l.own), timeText(l.ownRef), share(l.serverShare)).held(l.ownRef, l.ownRef))
	}
	if !math.IsNaN(l.rate) {
		list = append(list, fact("rate_ratio", l.rate, "it is asked %.2f times as often as the reference: it is not the load", l.rate).held(s.rules.of(SlowNode, "max_rate_ratio"), 1))
	}
	if !math.IsNaN(l.term) {
		list = append(list, fact("node_term", l.term, "over all pairs of nodes, answers of this one take %.1f times as long, whoever asks", l.term))
	}
	for _, o := range slow[1:] {
		list = append(list, fact("latency_ratio", o.ratio, "%s on it takes %.1f times as long too", o.instanceText(), o.ratio))
	}
	return list
}

func (p party) instanceText() string { return cmp.Or(p.instance, p.service) }

func referenceText(source string) string {
	if source == FromPeers {
		return "peers, to the same observers"
	}
	return source
}

// few names at most three.
func few(names []string) string {
	text := ""
	for i, name := range names {
		if i == 3 {
			return text + fmt.Sprintf(" and %d more", len(names)-3)
		}
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

// inTime are the other replicas on the node of slow ones that, without what they
// wait for themselves, take as long as their peers.
func (s *search) inTime(t *traffic, slow []late) []string {
	var list []string
	run := slow[0].run
	for _, r := range t.replicas() {
		if r.host != slow[0].host || slices.ContainsFunc(slow, func(l late) bool { return l.replica == r }) {
			continue
		}
		var peers []float64
		for _, o := range t.others(r) {
			if o.host != r.host {
				peers = append(peers, s.alone(t, o, run))
			}
		}
		if referenceOf(FromPeers, peers).ratio(s.alone(t, r, run)) <= s.rules.of(SlowNode, "max_flat_ratio") {
			list = append(list, r.instanceText())
		}
	}
	return list
}

// alone is how long a replica takes a request without what it waits for others, in
// ns; NaN: not known.
func (s *search) alone(t *traffic, r replica, run span) float64 {
	i := t.cells[t.to[r][0]].edge.Server.Index
	if i < 0 {
		return math.NaN()
	}
	var each []float64
	for w := run.first; w <= run.last; w++ {
		v := &s.in.Instances[i].Windows[w]
		sum := totalNs(&v.Served)
		for _, k := range t.asks(i) {
			sum -= totalNs(&t.cells[k].edge.Windows[w].AtClient)
		}
		if v.Served.Latency.Count() > 0 && sum > 0 {
			each = append(each, sum/float64(v.Served.Latency.Count()))
		}
	}
	return stat.Median(each)
}

// peersElsewhere: some replica of the same service is on another node.
func (t *traffic) peersElsewhere(l *late) bool {
	return slices.ContainsFunc(t.service[l.asked()], func(r replica) bool { return r.host != l.host })
}
