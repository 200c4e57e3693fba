package analyze

import (
	"cmp"
	"slices"

	"kmon/analyze/breakdown"
)

// Breakdown is where the time of the requests that a service answered went: of
// those in the middle, and of the slowest.
type Breakdown struct {
	// Requests with a latency that were looked at; of them Accounted were taken and
	// answered by one thread, whose waits were recorded, and HandedOver were
	// answered by another thread than that which took them.
	Requests   int64 `json:"requests"`
	Accounted  int64 `json:"accounted"`
	HandedOver int64 `json:"handed_over"`
	// UnclearCalls are requests to others that may belong to several of the
	// service's own: their time is that of no callee.
	UnclearCalls int64         `json:"unclear_calls"`
	Middle       BreakdownBand `json:"middle"` // around p50: from p40 to p60
	Slow         BreakdownBand `json:"slow"`   // around p99: from p98 on
}

// BreakdownBand is the requests of a range of latencies, on average. Latencies less
// than 1/16 apart are not told from each other, so that there may be more requests
// in it than its quantiles say.
type BreakdownBand struct {
	FromNs    int64 `json:"from_ns"`
	ToNs      int64 `json:"to_ns"` // the latencies are less
	Requests  int64 `json:"requests"`
	Accounted int64 `json:"accounted"`
	MeanNs    int64 `json:"mean_ns"`
	// Parts add up to MeanNs, exactly: those of the serving thread in a fixed order,
	// then callees, longest first, then what is not known. Parts of 0 are left out.
	Parts []TimePart `json:"parts"`
	// Series is, for the HTML report, by window in which they began how many requests
	// of these latencies there were, then the time of all of them that is of each of
	// Parts. Windows without any have no point.
	Series SumSeries `json:"-"`
}

// TimePart is a part of the time of a request.
type TimePart struct {
	// Name is on-cpu (in a virtual machine with what its host took of that time),
	// run-queue, lock (or another thread: a futex), disk (or a filesystem), sleep,
	// other-wait, network (a socket, a pipe or an event loop, while no callee was
	// seen), callee, or unknown (what the thread did is not known, and no callee was
	// seen).
	Name   string  `json:"name"`
	Callee string  `json:"callee,omitempty"` // of a callee, its service
	Ns     int64   `json:"ns"`               // a request, on average
	Share  float64 `json:"share"`            // of the whole
}

// The names of parts.
const (
	PartCallee  = "callee"
	PartUnknown = "unknown"
)

var partNames = [breakdown.Parts]string{
	breakdown.OnCPU: "on-cpu", breakdown.RunQueue: "run-queue", breakdown.Lock: "lock", breakdown.Disk: "disk",
	breakdown.Sleep: "sleep", breakdown.Network: "network", breakdown.Other: "other-wait", breakdown.Unknown: PartUnknown,
}

// maxCallees is how many callees of a band are named; the rest are one.
const maxCallees = 8

// otherCallees names the rest of them.
const otherCallees = "other callees"

// spending is what count reads of where the time of requests went.
type spending struct {
	run      *run
	joins    *breakdown.Joins
	counters []*breakdown.Counter // one a worker
}

func (r *run) newSpending() *spending {
	s := &spending{run: r, joins: breakdown.NewJoins(len(r.captures))}
	for range r.options.Workers {
		s.counters = append(s.counters, breakdown.NewCounter(r.windows(), r.graph, s.joins))
	}
	return s
}

// learn looks at the sockets of a part, endPart ends one.
func (s *spending) learn() {
	for _, c := range s.run.captures {
		s.joins.Learn(c)
	}
}

func (s *spending) endPart() {
	for _, c := range s.run.captures {
		s.joins.End(c)
	}
}

func (s *spending) sums() *breakdown.Sums {
	all := s.joins.Sums()
	for _, c := range s.counters {
		all.Merge(&c.Sums)
	}
	return all
}

// breakdowns gives those of all services by name. A service of which nothing is
// known but latencies has none.
func (r *run) breakdowns() map[string]*Breakdown {
	sums := map[string]*breakdown.Instance{}
	for i, instance := range r.topology.Instances {
		spent := r.spent.Of(i)
		if spent == nil {
			continue
		}
		name := r.topology.Services[instance.Service].Name
		if sums[name] == nil {
			sums[name] = new(breakdown.Instance)
		}
		sums[name].Merge(spent)
	}
	list := map[string]*Breakdown{}
	for name, i := range sums {
		if b := r.breakdown(i); b.told() {
			list[name] = b
		}
	}
	return list
}

// told says whether anything is known.
func (b *Breakdown) told() bool {
	known := func(p TimePart) bool { return p.Name != PartUnknown }
	return b.Accounted+b.HandedOver > 0 || slices.ContainsFunc(slices.Concat(b.Middle.Parts, b.Slow.Parts), known)
}

func (r *run) breakdown(i *breakdown.Instance) *Breakdown {
	all := i.Band(0, 1)
	return &Breakdown{
		Requests: all.Requests, Accounted: all.Accounted, HandedOver: all.HandedOver, UnclearCalls: i.Unclear,
		Middle: r.band(i, 0.4, 0.6), Slow: r.band(i, 0.98, 1),
	}
}

// band makes averages of the sums of a band.
func (r *run) band(i *breakdown.Instance, from, to float64) BreakdownBand {
	b := i.Band(from, to)
	out := BreakdownBand{FromNs: b.FromNs, ToNs: b.ToNs, Requests: b.Requests, Accounted: b.Accounted, Parts: []TimePart{}}
	if b.Requests == 0 {
		return out
	}
	out.MeanNs = b.TotalNs / b.Requests
	for part, ns := range b.Ns {
		if breakdown.Part(part) != breakdown.Unknown {
			out.Parts = append(out.Parts, TimePart{Name: partNames[part], Ns: ns})
		}
	}
	out.Parts = append(out.Parts, r.callees(b.Calls)...)
	out.Parts = append(out.Parts, TimePart{Name: PartUnknown, Ns: b.Ns[breakdown.Unknown]})
	out.Parts = slices.DeleteFunc(out.Parts, func(p TimePart) bool { return p.Ns == 0 })
	out.Series = r.bandSeries(i, &b, out.Parts)
	average(out.Parts, b.Requests, out.MeanNs)
	return out
}

// bandSeries gives what of the parts of a band is of each window.
func (r *run) bandSeries(i *breakdown.Instance, b *breakdown.Band, parts []TimePart) SumSeries {
	at := map[TimePart]int{} // without numbers
	for k, p := range parts {
		at[TimePart{Name: p.Name, Callee: p.Callee}] = 1 + k
	}
	s := SumSeries{WidthNs: r.spentFrame.WidthNs * r.spent.Joined()}
	i.Each(b, func(index int32, spent *breakdown.Spent) {
		sums := make([]int64, 1+len(parts))
		sums[0] = spent.Requests
		for part, ns := range spent.Ns {
			if k := at[TimePart{Name: partNames[part]}]; k > 0 {
				sums[k] += ns
			}
		}
		for _, p := range r.calleesByName(spent.Calls) {
			k := at[TimePart{Name: PartCallee, Callee: p.Callee}]
			if k == 0 { // one of the rest
				k = at[TimePart{Name: PartCallee, Callee: otherCallees}]
			}
			if k > 0 {
				sums[k] += p.Ns
			}
		}
		s.Points = append(s.Points, SumPoint{StartNs: r.spentFrame.BaseNs + int64(index)*s.WidthNs, Sums: sums})
	})
	return s
}

// average turns sums over n requests into parts of their mean. What rounding leaves
// goes to the largest.
func average(parts []TimePart, n, mean int64) {
	if len(parts) == 0 {
		return
	}
	largest, rest, whole := 0, mean, float64(mean)*float64(n)
	for i := range parts {
		p := &parts[i]
		if p.Ns > parts[largest].Ns {
			largest = i
		}
	}
	for i := range parts {
		p := &parts[i]
		p.Ns /= n
		rest -= p.Ns
	}
	parts[largest].Ns += rest
	for i := range parts {
		parts[i].Share = float64(parts[i].Ns) * float64(n) / max(whole, 1)
	}
}

// calleesByName names what was called, the longest first.
func (r *run) calleesByName(calls []breakdown.Called) []TimePart {
	byName := map[string]int64{}
	for _, c := range calls {
		name := otherCallees
		if c.Cell != breakdown.Elsewhere {
			name = r.topology.Services[r.topology.Edges[r.topology.EdgeOf[c.Cell]].Server].Name
		}
		byName[name] += c.Ns
	}
	var parts []TimePart
	for name, ns := range byName {
		parts = append(parts, TimePart{Name: PartCallee, Callee: name, Ns: ns})
	}
	slices.SortFunc(parts, func(a, b TimePart) int { return cmp.Or(cmp.Compare(b.Ns, a.Ns), cmp.Compare(a.Callee, b.Callee)) })
	return parts
}

// callees names what was called, as many as are named.
func (r *run) callees(calls []breakdown.Called) []TimePart {
	parts := r.calleesByName(calls)
	if len(parts) > maxCallees {
		rest := TimePart{Name: PartCallee, Callee: otherCallees}
		for _, p := range parts[maxCallees-1:] {
			rest.Ns += p.Ns
		}
		parts = append(parts[:maxCallees-1], rest)
	}
	return parts
}
