package finding

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// A way loses packets in a window with min_retransmits that are min_rate of its
// segments, and min_ratio times the rate of a healthy capture if there is one.
// Ways to hosts that were not recorded may cross the internet, where losses are
// daily: they must lose min_ratio times as much as in their quiet windows. Segments
// are estimated: one for each 1448 bytes, at least one a request and one an answer.
// When most ways of a node lose packets and few others do, it is the
// node's.
func findRetransmission(s *search) {
	t := s.traffic()
	links := s.links(t)
	if !slices.ContainsFunc(links, func(l link) bool { return l.recorded }) {
		s.checks[Retransmission].NotRecorded = "retransmits (collector drop)"
		return
	}
	lossy := map[int]span{}
	least := int(s.rules.of(Retransmission, "min_windows"))
	for i := range links {
		l := &links[i]
		if l.judged(s) < least {
			s.insufficient(Retransmission, l.text, "too few windows with retransmits recorded and enough segments")
			continue
		}
		s.checks[Retransmission].Judged++
		if run, ok := longest(s.losing(links, func(k int) bool { return k == i }), least); ok {
			lossy[i] = run
		}
	}
	ofNodes := s.lossyNodes(links, lossy)
	for _, i := range slices.Sorted(maps.Keys(lossy)) {
		if !ofNodes[i] {
			s.reportLink(links, i, lossy[i])
		}
	}
}

// link is all that two nodes, or two instances of one node, say to each other.
type link struct {
	ends        [2]string // sorted
	text        string
	cells       []int
	retransmits series // in a window; NaN: not recorded
	segments    series
	recorded    bool
	base        float64 // share in the healthy capture; NaN
	outside     bool    // one end is on a host that was not recorded
}

const segmentBytes = 1448 // of an Ethernet packet with timestamps

func (s *search) links(t *traffic) []link {
	byEnds := map[[2]string]*link{}
	for i := range t.cells {
		key := wayKey(&t.cells[i])
		ends := [2]string{min(key[0], key[1]), max(key[0], key[1])}
		l := byEnds[ends]
		if l == nil {
			n := len(t.in.Windows)
			c := &t.cells[i]
			_, here := t.byNode[c.client.host]
			_, there := t.byNode[c.server.host]
			l = &link{ends: ends, text: wayText(key), retransmits: blank(n), segments: blank(n), outside: !here || !there}
			byEnds[ends] = l
		}
		l.cells = append(l.cells, i)
	}
	list := []link{}
	for _, ends := range slices.SortedFunc(maps.Keys(byEnds), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		l := byEnds[ends]
		l.base = math.NaN()
		for _, i := range l.cells {
			for w := range t.in.Windows {
				l.add(s, t, i, w)
			}
			if b := t.cells[i].lost.base; b.N > 0 {
				l.base = largest(l.base, b.Median)
			}
		}
		list = append(list, *l)
	}
	return list
}

func (l *link) add(s *search, t *traffic, i, w int) {
	retransmits, segments := s.lostIn(t, t.cells[i].edge, w)
	if math.IsNaN(retransmits) {
		return
	}
	l.recorded = true
	if math.IsNaN(l.segments[w]) {
		l.retransmits[w], l.segments[w] = 0, 0
	}
	l.retransmits[w] += retransmits
	l.segments[w] += segments
}

// lostIn counts the retransmits and segments of an edge in a window; NaN where
// retransmits were not recorded, or not well enough.
func (s *search) lostIn(t *traffic, e *Edge, w int) (retransmits, segments float64) {
	v := &e.Windows[w]
	covered := true
	for _, end := range []struct {
		End
		recorded bool
	}{{e.Client, e.ClientRecorded}, {e.Server, e.ServerRecorded}} {
		if end.recorded {
			c := t.coverage(end.End, w)
			covered = covered && min(c.Exchanges, c.NetEvents) >= s.rules.of(Retransmission, "min_coverage")
		}
	}
	if t.in.Windows[w].Partial || v.Retransmits < 0 || !covered {
		return math.NaN(), math.NaN()
	}
	r := &v.AtClient
	if !e.ClientRecorded {
		r = &v.AtServer
	}
	packets := func(bytes int64) float64 { return math.Max(float64(r.Count), float64(bytes)/segmentBytes) }
	return float64(v.Retransmits), packets(r.Bytes) + packets(r.Answers)
}

func (l *link) judged(s *search) int {
	n := 0
	for w := range l.segments {
		if l.segments[w] >= s.rules.of(Retransmission, "min_samples") {
			n++
		}
	}
	return n
}

// pooled adds up links in a window.
func pooled(links []link, pick func(int) bool, w int) (retransmits, segments float64) {
	for i := range links {
		if pick(i) && !math.IsNaN(links[i].segments[w]) {
			retransmits += links[i].retransmits[w]
			segments += links[i].segments[w]
		}
	}
	return retransmits, segments
}

// losing says in which windows the picked links lose packets.
func (s *search) losing(links []link, pick func(int) bool) []bool {
	rate := blank(len(s.in.Windows))
	hold := make([]bool, len(rate))
	limit, outside := s.rules.of(Retransmission, "min_rate"), true
	for i := range links {
		if pick(i) {
			outside = outside && links[i].outside
			if links[i].base >= 0 {
				limit = math.Max(limit, links[i].base*s.rules.of(Retransmission, "min_ratio"))
			}
		}
	}
	for w := range hold {
		lost, segments := pooled(links, pick, w)
		if segments >= s.rules.of(Retransmission, "min_samples") {
			rate[w] = lost / segments
			hold[w] = lost >= s.rules.of(Retransmission, "min_retransmits")
		}
	}
	if outside {
		limit = math.Max(limit, s.quietOf(rate).Median*s.rules.of(Retransmission, "min_ratio"))
	}
	for w := range hold {
		hold[w] = hold[w] && rate[w] >= limit
	}
	return hold
}

// lossyNodes reports the nodes that most of the losses have in common, and gives
// the links that these explain.
func (s *search) lossyNodes(links []link, lossy map[int]span) map[int]bool {
	explained := map[int]bool{}
	for _, host := range hostsOf(links) {
		of := func(i int) bool { return slices.Contains(links[i].ends[:], host) }
		run, ok := longest(s.losing(links, of), int(s.rules.of(Retransmission, "min_windows")))
		if !ok {
			continue
		}
		bad, all, others, rest := 0, 0, 0, 0
		for i := range links {
			loses, known := s.loses(&links[i], run)
			switch {
			case !known:
			case of(i):
				all++
				if loses {
					bad++
				}
			default:
				rest++
				if loses {
					others++
				}
			}
		}
		if all < 2 || float64(bad) < s.rules.of(Retransmission, "min_node_share")*float64(all) || 2*others >= rest && rest > 0 {
			continue
		}
		if rest == 0 {
			continue // every link is one of its own: nothing to hold it against
		}
		s.reportLossyNode(links, host, run, [4]int{bad, all, others, rest})
		for i := range links {
			if _, ok := lossy[i]; ok && of(i) {
				explained[i] = true
			}
		}
	}
	return explained
}

// hostsOf are the nodes at the ends of links, sorted.
func hostsOf(links []link) []string {
	var list []string
	for _, l := range links {
		if l.ends[0] != l.ends[1] {
			list = append(list, l.ends[:]...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// loses says whether a link lost packets over a run; known: it was recorded.
func (s *search) loses(l *link, run span) (loses, known bool) {
	lost, segments := l.over(run)
	if segments < s.rules.of(Retransmission, "min_samples") {
		return false, false
	}
	return lost >= s.rules.of(Retransmission, "min_retransmits") && lost/segments >= s.rules.of(Retransmission, "min_rate")/2, true
}

func (l *link) over(run span) (retransmits, segments float64) {
	for w := run.first; w <= run.last; w++ {
		if !math.IsNaN(l.segments[w]) {
			retransmits, segments = retransmits+l.retransmits[w], segments+l.segments[w]
		}
	}
	return retransmits, segments
}

func (s *search) reportLossyNode(links []link, host string, run span, n [4]int) {
	of := func(i int) bool { return slices.Contains(links[i].ends[:], host) }
	lost, segments := 0.0, 0.0
	var cells []int
	for i := range links {
		if of(i) {
			a, b := links[i].over(run)
			lost, segments = lost+a, segments+b
			cells = append(cells, links[i].cells...)
		}
	}
	rate := lost / segments
	p := fisher(n[0], n[1]-n[0], n[2], n[3]-n[2])
	f := s.lossFinding(Subject{Type: "node", Name: host, Host: host}, cells, run, rate, lost)
	f.Title = fmt.Sprintf("packets from and to %s are lost: %.1f%% are sent again, on %d of its %d links", host, 100*rate, n[0], n[1])
	f.Evidence = append(f.Evidence, fact("lossy_links", float64(n[0]), "%d of %d links of the node lose packets, and %d of %d others (Fisher's exact test: p = %.2g)", n[0], n[1], n[2], n[3], p))
	if p < s.rules.of(Retransmission, "max_chance") {
		f.Confidence += 0.2
	}
	s.add(f)
}

func (s *search) reportLink(links []link, i int, run span) {
	l := &links[i]
	lost, segments := l.over(run)
	end := s.cells.cells[l.cells[0]].server
	f := s.lossFinding(Subject{Type: "edge", Name: l.text, Service: end.service, Host: end.host}, l.cells, run, lost/segments, lost)
	f.Title = fmt.Sprintf("packets on the way %s are lost: %.1f%% are sent again", l.text, 100*lost/segments)
	s.add(f)
}

func (s *search) lossFinding(subject Subject, cells []int, run span, rate, lost float64) Finding {
	w := loss{count: lost, rate: rate, high: true}
	f := s.finding(Retransmission, subject, run)
	f.Reference, f.lost = "other links", rate
	f.Confidence = 0.6
	f.Evidence = []Evidence{w.evidence(s)}
	f.Coverage = s.cells.leastCoverage(cells, run)
	f.Alternative = "the receiver stops reading or a firewall drops packets on purpose: the packets would be lost on the node, not on the way."
	f.NextStep = fmt.Sprintf("at both ends of %s: `ss -ti` (retrans, rto), `nstat -az 'Tcp*Retrans*' 'Tcp*Loss*'`, `ethtool -S`; and the drops in this report", subject.Name)
	before := s.lossOf(s.cells, cells, span{0, run.first - 1, 0})
	if !math.IsNaN(before.rate) {
		f.Evidence = append(f.Evidence, fact("retransmit_rate_before", before.rate, "before it were %.2f%%", 100*before.rate))
		f.Reference = "the time before"
		f.Confidence += 0.1
	}
	return f
}

// loss is the packets sent again in a run.
type loss struct {
	count, rate float64
	high        bool // enough of them to speak for the way
}

func (s *search) lossOf(t *traffic, cells []int, run span) loss {
	l := loss{rate: math.NaN()}
	segments := 0.0
	for _, i := range cells {
		for w := run.first; w <= run.last; w++ {
			if lost, of := s.lostIn(t, t.cells[i].edge, w); of > 0 {
				l.count, segments = l.count+lost, segments+of
			}
		}
	}
	if segments > 0 {
		l.rate = l.count / segments
		l.high = l.count >= s.rules.of(Retransmission, "min_retransmits") && l.rate >= s.rules.of(Retransmission, "min_rate")/2
	}
	return l
}

func (l loss) evidence(s *search) Evidence {
	limit := s.rules.of(Retransmission, "min_rate")
	return fact("retransmit_rate", l.rate, "%.0f packets were sent again, about %.1f%% of them", l.count, 100*l.rate).held(limit, math.NaN())
}
