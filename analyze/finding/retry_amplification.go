package finding

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// findRetryAmplification finds routes between services on which the same is asked
// again and again. In a window all of these:
//
//	repeated / repeated_ref ≥ min_ratio         (requests for each one that comes in)
//	bytes a request within ±max_size_change of the reference: the same messages
//	trouble, one of
//	  failed / requests ≥ min_failed_share, and twice the reference
//	  connections / requests ≥ min_connects_share, and min_connects_ratio times the reference
//	  what comes in is answered ≤ max_entry_ratio of the reference
//
// The reference is a healthy capture, else its own quiet windows. Without one
// most requests must fail (see alone), and the finding only informs.
func findRetryAmplification(s *search) {
	now := s.routesOf(s.in)
	before := map[[2]string]*route{}
	if s.baseline != nil {
		for _, r := range s.routesOf(s.baseline) {
			before[[2]string{r.client, r.server}] = r
		}
	}
	var held []*storm
	for _, r := range now {
		if len(r.entries) == 0 && !r.cyclic(now) || !s.judge(RetryAmplification, r.name(), r.sight) {
			continue // requests come in here: nothing to compare their number with
		}
		if st := s.stormOf(r, before[[2]string{r.client, r.server}]); st.found {
			held = append(held, st)
		} else if st.looked {
			s.checks[RetryAmplification].Rejected++
		}
	}
	for len(held) > 0 {
		var group []*storm
		group, held = connected(held)
		s.add(s.stormFinding(group))
	}
}

// unit is what the requests of a route are counted by.
func (r *route) unit() string {
	if len(r.entries) == 0 {
		return "a second, in a closed circle"
	}
	return "for each one that comes in"
}

// cyclic says whether a route's client can be reached from its server.
func (r *route) cyclic(list []*route) bool {
	seen := map[string]bool{r.server: true}
	for next := []string{r.server}; len(next) > 0; next = next[1:] {
		if next[0] == r.client {
			return true
		}
		for _, o := range list {
			if o.client == next[0] && !seen[o.server] {
				seen[o.server] = true
				next = append(next, o.server)
			}
		}
	}
	return false
}

// storm is a route with what it is held against.
type storm struct {
	*route
	failedShare, connectShare, size, entered                series
	repeatedRef, failedRef, connectRef, sizeRef, enteredRef Reference
	alone                                                   bool // no reference was needed
	found, looked                                           bool
	run                                                     span
}

func (s *search) stormOf(r, before *route) *storm {
	st := &storm{route: r, failedShare: r.share(r.failed), connectShare: r.share(r.connects), size: r.share(r.bytes), entered: r.entered()}
	against := func(now series, pick func(*route) series) Reference {
		if before != nil {
			if ref := referenceOf(FromBaseline, pick(before)); float64(ref.N) >= s.rules.of(common, "min_reference") {
				return ref
			}
		}
		return s.quietOf(now)
	}
	st.repeatedRef = against(r.repeated, func(b *route) series { return b.repeated })
	st.failedRef = against(st.failedShare, func(b *route) series { return b.share(b.failed) })
	st.connectRef = against(st.connectShare, func(b *route) series { return b.share(b.connects) })
	st.sizeRef = against(st.size, func(b *route) series { return b.share(b.bytes) })
	st.enteredRef = s.most(against(st.entered.inverse(), func(b *route) series { return b.entered().inverse() }))
	hold, looks, alone := make([]bool, len(r.ok)), make([]bool, len(r.ok)), make([]bool, len(r.ok))
	for i := range hold {
		if r.ok[i] && r.count[i] >= s.rules.of(RetryAmplification, "min_samples") {
			looks[i], hold[i], alone[i] = s.storms(st, i)
		}
	}
	least := int(s.rules.of(RetryAmplification, "min_windows"))
	_, st.looked = longest(looks, least)
	if st.run, st.found = longest(hold, least); !st.found {
		st.run, st.found = longest(alone, int(s.rules.of(RetryAmplification, "min_windows_alone")))
		st.alone = st.found
	}
	return st
}

// storms judges a window: it looks like one, it is one, it is one without a
// reference. Comparisons with NaN don't hold.
func (s *search) storms(st *storm, i int) (looks, is, alone bool) {
	of := func(name string) float64 { return s.rules.of(RetryAmplification, name) }
	failed, connects := st.failedShare[i], st.connectShare[i]
	trouble := failed >= max(of("min_failed_share"), 2*st.failedRef.Median) ||
		connects >= max(of("min_connects_share"), of("min_connects_ratio")*st.connectRef.Median) ||
		st.enteredRef.ratio(st.entered[i]) <= of("max_entry_ratio")
	same := math.Abs(st.sizeRef.ratio(st.size[i])-1) <= of("max_size_change")
	looks = st.repeatedRef.ratio(st.repeated[i]) >= of("min_ratio")
	alone = len(st.entries) > 0 && same && st.repeated[i] >= of("min_repeated_alone") && failed >= of("min_failed_alone") && connects >= of("min_connects_alone")
	return looks, looks && same && trouble, alone
}

// inverse is 1 over each value, so that many become few; 0 counts as 1.
func (v series) inverse() series {
	out := make(series, len(v))
	for i := range v {
		out[i] = 1 / max(v[i], 1)
	}
	return out
}

// most turns a reference of inverses back.
func (s *search) most(r Reference) Reference {
	if r.N > 0 {
		r.Median, r.MAD = 1/r.Median, 0
	}
	return r
}

// connected takes the first storm out of a list, and all that hang together with
// it: one asks what the other answers, at the same time.
func connected(list []*storm) (group, rest []*storm) {
	group, rest = list[:1:1], slices.Clone(list[1:])
	for i := 0; i < len(group); i++ {
		rest = slices.DeleteFunc(rest, func(o *storm) bool {
			g := group[i]
			joined := (g.server == o.client || o.server == g.client) && g.run.first <= o.run.last && o.run.first <= g.run.last
			if joined {
				group = append(group, o)
			}
			return joined
		})
	}
	return group, rest
}

// chain gives the services of storms in the order in which they ask, the way of
// the most requests; a cycle ends where it began.
func chain(group []*storm) []string {
	client := group[0].client
	for _, g := range group {
		if !slices.ContainsFunc(group, func(o *storm) bool { return o.server == g.client }) {
			client = g.client
			break
		}
	}
	names, seen := []string{client}, map[string]bool{client: true}
	for {
		var next *storm
		for _, g := range group {
			if g.client == client && (next == nil || g.repeated.over(g.run) > next.repeated.over(next.run)) {
				next = g
			}
		}
		if next == nil {
			break
		}
		client = next.server
		names = append(names, client)
		if seen[client] {
			break
		}
		seen[client] = true
	}
	return names
}

// maxRoutes is how many routes of a finding have evidence of their own.
const maxRoutes = 5

func (s *search) stormFinding(group []*storm) Finding {
	worst := group[0]
	for _, g := range group {
		if g.repeated.over(g.run) > worst.repeated.over(worst.run) {
			worst = g
		}
		s.repeated = append(s.repeated, g.server)
	}
	run := worst.run
	services := chain(group)
	f := s.finding(RetryAmplification, Subject{Type: "edge", Name: strings.Join(services, " → "), Service: worst.server}, run)
	f.services = services
	f.Reference, f.Coverage = worst.repeatedRef.Source, 1
	for i, g := range group {
		if i < maxRoutes {
			f.Evidence = append(f.Evidence, s.stormEvidence(g)...)
		}
		f.Coverage = min(f.Coverage, g.within(g.run))
	}
	f.Title = fmt.Sprintf("services ask the same again and again (%s): %.2g requests to %s %s", f.Subject.Name, worst.repeated.over(run), worst.server, worst.unit())
	signals := 2
	if e := worst.entered.over(run); worst.enteredRef.ratio(e) <= s.rules.of(RetryAmplification, "max_entry_ratio") {
		signals++
		f.Evidence = append(f.Evidence, fact("entry_answers", e, "of what comes in, %.0f requests are answered a window, before %.0f", e, worst.enteredRef.Median).
			held(s.rules.of(RetryAmplification, "max_entry_ratio")*worst.enteredRef.Median, worst.enteredRef.Median))
		f.Severity = Critical
	} else if worst.enteredRef.N > 0 {
		f.CounterEvidence = append(f.CounterEvidence, fact("entry_answers", e, "what comes in is still answered: %.0f requests a window, before %.0f", e, worst.enteredRef.Median))
	}
	if len(group) > 1 {
		signals++
	}
	f.Confidence = confidence(signals, len(f.CounterEvidence), worst.repeatedRef)
	if worst.alone {
		f.Severity, f.Reference, f.Confidence = Info, "none: thresholds alone", 0.4
	}
	f.Alternative = "a release that asks more for each request: then nothing fails, and nobody gives up early"
	f.NextStep = "the timeouts and retries of " + worst.client + ": are they shorter than what " + worst.server + " needs? A retry budget, backoff with jitter, or fewer layers that retry; `ss -ti` shows its connections"
	return f
}

// stormEvidence is what one route shows.
func (s *search) stormEvidence(g *storm) []Evidence {
	of := func(name string) float64 { return s.rules.of(RetryAmplification, name) }
	v, failed, connects := g.repeated.over(g.run), g.failedShare.over(g.run), g.connectShare.over(g.run)
	e := fact("repeated", v, "%s: %.2g requests %s", g.name(), v, g.unit()).held(of("min_repeated_alone"), nan)
	if !g.alone {
		e = fact("repeated", v, "%s: %.2g requests %s, %.1f times the %.2g of %s", g.name(), v, g.unit(), g.repeatedRef.ratio(v), g.repeatedRef.Median, g.repeatedRef.Source).
			held(of("min_ratio")*g.repeatedRef.Median, g.repeatedRef.Median)
	}
	size := g.size.over(g.run)
	list := []Evidence{e, fact("request_bytes", size, "%s: they are as large as ever, %.0f bytes", g.name(), size).held((1+of("max_size_change"))*g.sizeRef.Median, g.sizeRef.value())}
	if failed >= of("min_failed_share") {
		list = append(list, fact("failed_share", failed, "%s: %s of them get no answer", g.name(), share(failed)).held(of("min_failed_share"), g.failedRef.value()))
	}
	if connects >= of("min_connects_share") {
		list = append(list, fact("connects_share", connects, "%s: %.2g new connections a request", g.name(), connects).held(of("min_connects_share"), g.connectRef.value()))
	}
	return list
}
