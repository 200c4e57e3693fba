package finding

import (
	"fmt"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// findLimpingDisk finds disks whose device time is longer than it was, or than that
// of their peers. Time in the kernel's queue does not count: that grows with load.
// L is diskView.slower, in windows with at least min_samples IOs:
//
//	against its model (the healthy capture's, else its own quiet windows'):
//	  L − ŷ ≥ ln min_ratio (min_quiet_ratio of quiet windows) and L > bound, at a
//	  throughput that the model knows
//	against peers of the same kind and rotation that do the same work (IOs of the
//	class of which it has most), at least min_peers others:
//	  L ≥ ln min_ratio and robust z ≥ min_peer_z, with no more than
//	  max_peer_load times their IOs
//	without both, or with a model of fewer than sure_model_windows: at least
//	min_stall_share of the IOs take stall_ns, and the median a fifth of that at most
//
// A device that was always busy and now has more IOs at once, for as many done, is
// asked for more and not slower. A disk whose IO becomes that of a limping one
// limps for its sake.
func findLimpingDisk(s *search) {
	views := s.diskViews(s.in)
	var before []diskView
	if s.baseline != nil {
		before = s.diskViews(s.baseline)
	}
	var limping []*limper
	for i := range views {
		v := &views[i]
		if !s.judgeDisk(LimpingDisk, v) {
			continue
		}
		if l := s.limp(v, views, before); l != nil {
			limping = append(limping, l)
		}
	}
	for _, l := range limping {
		if below := lowest(l.view, limping); below != nil {
			s.checks[LimpingDisk].Rejected++
			continue
		}
		s.add(s.limpFinding(l))
	}
}

// judgeDisk says whether a disk had IOs enough to be judged. One that had hardly any
// is passed over without a word: most nodes have such.
func (s *search) judgeDisk(kind Kind, v *diskView) bool {
	if v.Kind == "zram" {
		return false
	}
	any, enough := 0.0, 0
	for i := range v.ok {
		for k := range v.Windows[i].Classes {
			any += float64(v.Windows[i].Classes[k].IOs)
		}
		if v.ok[i] && v.ios[i] >= s.rules.of(kind, "min_samples") {
			enough++
		}
	}
	if any == 0 && v.lacks == "" {
		return false
	}
	least := s.rules.of(kind, "min_windows")
	if v.lacks == "" && float64(len(slices.DeleteFunc(slices.Clone(v.ok), func(ok bool) bool { return !ok }))) >= least && float64(enough) < least {
		s.insufficient(kind, v.name(s), fmt.Sprintf("%d windows with at least %.0f reads and writes, %.0f are needed", enough, s.rules.of(kind, "min_samples"), least))
		return false
	}
	return s.judge(kind, v.name(s), v.sight)
}

// limper is a disk that seems to limp, and what says so.
type limper struct {
	view  *diskView
	run   span
	model *model // nil: it did not tell
	over  series // L − ŷ
	bound series // of L − ŷ
	peers int    // 0: they did not tell
	apart series // L against peers
	peerZ float64
	// like: there are peers, and they are as slow.
	like bool
	// stalls is the share of stalled IOs; nil: not by them.
	stalls series
}

func (s *search) limp(v *diskView, views, before []diskView) *limper {
	l := &limper{view: v, over: blank(len(v.ok)), bound: blank(len(v.ok)), apart: blank(len(v.ok))}
	byModel, rejected := s.byModel(l, before)
	byPeers, more := s.byPeers(l, views)
	least := int(s.rules.of(LimpingDisk, "min_windows"))
	run, ok := longest(byModel, least)
	peerRun, peersTell := longest(byPeers, least)
	switch {
	case l.model != nil && l.model.source == FromBaseline && (ok || len(l.over.known()) >= least):
		l.run = run // which is the best witness of all
	case ok:
		l.run, l.like = run, l.peers > 0 && !peersTell
	case peersTell:
		l.run, ok = peerRun, true
	case l.peers == 0 && (l.model == nil || float64(l.model.n) < s.rules.of(LimpingDisk, "sure_model_windows")):
		l.run, ok = s.byStalls(l)
	}
	if !ok {
		if _, looked := longest(orBoth(rejected, more), least); looked {
			s.checks[LimpingDisk].Rejected++
		}
		return nil
	}
	if !peersTell {
		l.peers = 0
	}
	return l
}

func orBoth(a, b []bool) []bool {
	out := make([]bool, len(a))
	for i := range a {
		out[i] = a[i] || b[i]
	}
	return out
}

// byModel says in which windows a disk was slower than its model allows, and in
// which it was so for being asked for more.
func (s *search) byModel(l *limper, before []diskView) (hold, rejected []bool) {
	v, minIOs := l.view, s.rules.of(LimpingDisk, "min_samples")
	hold, rejected = make([]bool, len(v.ok)), make([]bool, len(v.ok))
	m, slower := s.modelOf(v, before, minIOs)
	if l.model = m; m == nil {
		return hold, rejected
	}
	ratio := math.Log(s.leastTimes(m))
	for i := range hold {
		if math.IsNaN(slower[i]) || !m.covers(v.load[i]) {
			continue
		}
		expected, upper := m.at(v.load[i])
		l.over[i], l.bound[i] = slower[i]-expected, upper-expected
		slow := l.over[i] >= ratio && l.over[i] > l.bound[i]
		rejected[i] = slow && s.deeper(m, v, i, math.Exp(l.over[i]))
		hold[i] = slow && !rejected[i]
	}
	return hold, rejected
}

// leastTimes is how many times slower a disk must be than its model.
func (s *search) leastTimes(m *model) float64 {
	if m.source == FromBaseline {
		return s.rules.of(LimpingDisk, "min_ratio")
	}
	return s.rules.of(LimpingDisk, "min_quiet_ratio")
}

// deeper says that a device which was always busy does as much as ever, with more
// IOs in it at once.
func (s *search) deeper(m *model, v *diskView, i int, times float64) bool {
	return m.busy >= s.rules.of(LimpingDisk, "full_busy") && v.rate[i] >= 0.8*m.rate && v.depth[i] >= 0.8*times*m.depth
}

// modelOf makes the model of a disk, and gives L against what it is made of.
func (s *search) modelOf(v *diskView, before []diskView, minIOs float64) (*model, series) {
	least := int(s.rules.of(LimpingDisk, "min_model_windows"))
	for i := range before {
		if b := &before[i]; b.host == v.host && b.Name == v.Name {
			refs := b.typical()
			if m := modelFrom(b, b.slower(refs, minIOs), nil, least); m != nil {
				m.source = FromBaseline
				return m, v.slower(refs, minIOs)
			}
		}
	}
	refs := map[classKey]float64{}
	for _, key := range v.keys {
		if r := s.quietOf(v.classes[key].median); r.N > 0 {
			refs[key] = r.Median
		}
	}
	slower, spread := v.slower(refs, minIOs), math.Log(s.rules.of(common, "quiet_spread"))
	m := modelFrom(v, slower, func(y float64) bool { return y <= spread }, least)
	if m != nil {
		m.source = FromQuiet
	}
	return m, slower
}

// modelFrom fits a model to the windows of a disk that use takes, nil: all.
func modelFrom(v *diskView, slower series, use func(float64) bool, least int) *model {
	var x, y []float64
	rate, depth, busy := series{}, series{}, series{}
	for i := range slower {
		if math.IsNaN(slower[i]) || use != nil && !use(slower[i]) {
			continue
		}
		x, y = append(x, v.load[i]), append(y, slower[i])
		rate, depth, busy = append(rate, v.rate[i]), append(depth, v.depth[i]), append(busy, v.busy[i])
	}
	m := fit(x, y, least)
	if m != nil {
		m.rate, m.depth, m.busy = stat.Median(rate), stat.Median(depth), stat.Median(busy)
	}
	return m
}

// byPeers says in which windows a disk was slower than its peers, and in which it
// was while it had more to do.
func (s *search) byPeers(l *limper, views []diskView) (hold, more []bool) {
	v := l.view
	hold, more = make([]bool, len(v.ok)), make([]bool, len(v.ok))
	peers, work := []*diskView{}, v.main()
	for i := range views {
		o := &views[i]
		if o.Disk != v.Disk && o.Kind == v.Kind && o.Rotational == v.Rotational && len(o.Below) == 0 && len(v.Below) == 0 && o.does(work) {
			peers = append(peers, o)
		}
	}
	least := int(s.rules.of(LimpingDisk, "min_peers"))
	refs, rates := s.ofPeers(peers, least)
	if len(refs) == 0 {
		return hold, more
	}
	minIOs := s.rules.of(LimpingDisk, "min_samples")
	l.apart = v.slower(refs, minIOs)
	var others []float64 // how far the peers are apart themselves
	for _, o := range peers {
		others = append(others, stat.Median(o.slower(refs, minIOs).known()))
	}
	r := referenceOf(FromPeers, others)
	if r.N < least || len(l.apart.known()) == 0 {
		l.apart = blank(len(v.ok))
		return hold, more
	}
	l.peers = r.N
	mad := max(r.MAD, 2*leastSpread)
	l.peerZ = 0.6745 * (stat.Median(l.apart.known()) - r.Median) / mad
	for i := range hold {
		z := 0.6745 * (l.apart[i] - r.Median) / mad
		slow := l.apart[i]-r.Median >= math.Log(s.rules.of(LimpingDisk, "min_ratio")) && z >= s.rules.of(LimpingDisk, "min_peer_z")
		more[i] = slow && v.rate[i] > s.rules.of(LimpingDisk, "max_peer_load")*rates
		hold[i] = slow && !more[i]
	}
	return hold, more
}

// ofPeers is the median over peers of their device time by class, of classes that at
// least so many have, and of their IOs a second.
func (s *search) ofPeers(peers []*diskView, least int) (refs map[classKey]float64, rate float64) {
	byClass, rates := map[classKey][]float64{}, []float64{}
	for _, o := range peers {
		for key, v := range o.typical() {
			byClass[key] = append(byClass[key], v)
		}
		if known := o.rate.known(); len(known) > 0 {
			rates = append(rates, stat.Median(known))
		}
	}
	refs = map[classKey]float64{}
	for key, values := range byClass {
		if len(values) >= least {
			refs[key] = stat.Median(values)
		}
	}
	return refs, stat.Median(rates)
}

// byStalls looks for IOs that stall while most are done soon.
func (s *search) byStalls(l *limper) (span, bool) {
	v := l.view
	stall := s.rules.of(LimpingDisk, "stall_ns")
	if v.Rotational != 0 {
		stall = s.rules.of(LimpingDisk, "stall_rotational_ns")
	}
	hold := make([]bool, len(v.ok))
	l.stalls = blank(len(v.ok))
	for i := range hold {
		if !v.ok[i] || v.ios[i] < s.rules.of(LimpingDisk, "min_samples") {
			continue
		}
		slow := 0.0
		for k := range v.Windows[i].Classes {
			if c := &v.Windows[i].Classes[k]; c.Operation == "read" || c.Operation == "write" {
				c.Device.Each(func(low, count int64) {
					if float64(low) >= stall {
						slow += float64(count)
					}
				})
			}
		}
		l.stalls[i] = slow / v.ios[i]
		hold[i] = l.stalls[i] >= s.rules.of(LimpingDisk, "min_stall_share") && v.device[i] <= stall/5
	}
	return longest(hold, int(s.rules.of(LimpingDisk, "min_windows")))
}

// lowest gives a limping disk that a disk's IO becomes, nil: none.
func lowest(v *diskView, limping []*limper) *diskView {
	for _, l := range limping {
		if l.view.Node == v.Node && l.view.Disk != v.Disk && slices.Contains(v.Below, l.view.Name) {
			return l.view
		}
	}
	return nil
}

func (s *search) limpFinding(l *limper) Finding {
	of := func(name string) float64 { return s.rules.of(LimpingDisk, name) }
	v, r := l.view, Reference{}
	f := s.finding(LimpingDisk, Subject{Type: "disk", Name: v.name(s), Host: v.host}, l.run)
	f.Coverage = v.within(l.run)
	device := v.device.over(l.run)
	if over := l.over.over(l.run); l.model != nil && over >= math.Log(s.leastTimes(l.model)) {
		times, beyond := math.Exp(over), math.Exp(over-l.bound.over(l.run))
		r = Reference{N: l.model.n, Source: l.model.source}
		f.Title = fmt.Sprintf("%s takes %s times as long for reads and writes as it did at the same throughput", f.Subject.Name, ratioText(times))
		f.Evidence = append(f.Evidence,
			fact("device_time_ratio", times, "the device takes %s times the time expected of like IOs at this throughput, from %d windows (%s); its median is %s", ratioText(times), l.model.n, l.model.source, timeText(device)).
				held(s.leastTimes(l.model), 1),
			fact("device_time_bound", beyond, "that is %s times the bound under which 99.9%% of such windows lie", ratioText(beyond)).held(1, nan))
		if times >= of("critical_ratio") {
			f.Severity = Critical
		}
		if low := v.load.over(l.run); low < l.model.low {
			f.CounterEvidence = append(f.CounterEvidence, fact("load", math.Expm1(low), "it moves less than in any window of the model (%.3g MB/s): held against the least of them", math.Expm1(low)))
		}
	}
	if l.peers > 0 {
		times := math.Exp(l.apart.over(l.run))
		if f.Title == "" {
			r = Reference{N: l.peers, Source: FromPeers}
			f.Title = fmt.Sprintf("%s takes %s times as long for reads and writes as %d disks like it", f.Subject.Name, ratioText(times), l.peers)
		}
		f.Evidence = append(f.Evidence,
			fact("peer_ratio", times, "like IOs take %s times as long as on %d disks of the same kind", ratioText(times), l.peers).held(of("min_ratio"), 1),
			fact("peer_z", l.peerZ, "that is %.1f robust deviations from them", l.peerZ).held(of("min_peer_z"), nan))
	}
	if f.Title == "" {
		f.Title = fmt.Sprintf("%s of the reads and writes of %s stall", share(l.stalls.over(l.run)), f.Subject.Name)
		f.Evidence = append(f.Evidence, fact("stall_share", l.stalls.over(l.run), "%s of its IOs stall in the device, while half take at most %s", share(l.stalls.over(l.run)), timeText(device)).held(of("min_stall_share"), nan))
	}
	if f.Reference = r.Source; r.N == 0 {
		f.Reference = "none: thresholds alone"
	}
	s.limpContext(&f, l)
	f.Confidence = confidence(len(f.Evidence)-1, len(f.CounterEvidence), r)
	f.Alternative = "the disk is shared: other machines, or the hypervisor's limit for this one, take its time; or IOs have another pattern than they had (random after sequential, not in a cache of the device)"
	f.NextStep = "disks in the report (device time by operation and size), `iostat -x 5` and `smartctl -a /dev/" + v.Name + "` on " + v.host + "; for a virtual disk, its limits and its host"
	return f
}

// limpContext adds what is true of a limping disk but does not decide.
func (s *search) limpContext(f *Finding, l *limper) {
	v := l.view
	if l.like {
		f.CounterEvidence = append(f.CounterEvidence, fact("peer_ratio", math.Exp(l.apart.over(l.run)), "disks like it are as slow: what they share may be slow"))
	}
	if l.model != nil {
		now := v.rate.over(l.run)
		switch {
		case now <= 1.1*l.model.rate:
			f.Evidence = append(f.Evidence, fact("ios_per_s", now, "it does %.4g IOs a second, no more than the usual %.4g: it is not asked for more", now, l.model.rate))
		case now >= 1.5*l.model.rate:
			f.CounterEvidence = append(f.CounterEvidence, fact("ios_per_s", now, "it does %.4g IOs a second, usual are %.4g", now, l.model.rate))
		}
	}
	if q, d := v.queue.over(l.run), v.device.over(l.run); q > d {
		f.CounterEvidence = append(f.CounterEvidence, fact("queue_p50_ns", q, "IOs wait longer in the kernel's queue (%s) than in the device (%s): more is asked than it does", timeText(q), timeText(d)))
	}
	if len(v.Below) > 0 {
		f.CounterEvidence = append(f.CounterEvidence, fact("below", float64(len(v.Below)), "it lies on %s, of which nothing is known that explains it", v.Below[0]))
	}
	errors := int64(0)
	for i := l.run.first; i <= l.run.last; i++ {
		errors += v.Windows[i].Errors
	}
	if errors > 0 {
		f.Evidence = append(f.Evidence, fact("errors", float64(errors), "%d IOs failed", errors))
	}
}
