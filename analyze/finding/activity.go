package finding

import (
	"fmt"
	"slices"
	"strings"

	"kmon/analyze/stat"
)

// table is one that a rule rests on.
type table struct {
	name string
	of   func(*Coverage) float64
}

var (
	exchanges    = table{"exchanges", func(c *Coverage) float64 { return c.Exchanges }}
	intervals    = table{"intervals", func(c *Coverage) float64 { return c.Intervals }}
	netEvents    = table{"netevents", func(c *Coverage) float64 { return c.NetEvents }}
	requestTable = []table{exchanges}
	workTables   = []table{exchanges, intervals}
)

// sight is which windows of a node may be judged.
type sight struct {
	ok       []bool
	coverage series // least of the tables; NaN: partial, or not recorded
	lacks    string // tables that no window of the node has
}

// sightOf looks at the tables of a node; at no node, nothing can be judged.
func (s *search) sightOf(in *Input, node int, tables []table) sight {
	v := sight{ok: make([]bool, len(in.Windows)), coverage: blank(len(in.Windows))}
	if node < 0 || node >= len(in.Nodes) {
		return v
	}
	recorded := make([]bool, len(tables))
	for i := range in.Windows {
		c, least := &in.Nodes[node].Windows[i].Coverage, 1.0
		for k, t := range tables {
			least, recorded[k] = min(least, t.of(c)), recorded[k] || t.of(c) != NotRecorded
		}
		if in.Windows[i].Partial || least == NotRecorded {
			continue
		}
		v.coverage[i], v.ok[i] = least, least >= s.rules.of(common, "min_coverage")
	}
	var lacks []string
	for k, t := range tables {
		if !recorded[k] {
			lacks = append(lacks, t.name)
		}
	}
	v.lacks = strings.Join(lacks, ", ")
	return v
}

// judge says whether a subject can be judged, and notes it in the check.
func (s *search) judge(kind Kind, subject string, v sight) bool {
	if v.lacks != "" {
		s.checks[kind].NotRecorded = v.lacks
		return false
	}
	n, least := 0, s.rules.of(kind, "min_windows")
	for _, ok := range v.ok {
		if ok {
			n++
		}
	}
	if float64(n) < least {
		s.insufficient(kind, subject, fmt.Sprintf("%d windows with a coverage of at least %.2g, %.0f are needed", n, s.rules.of(common, "min_coverage"), least))
		return false
	}
	s.checks[kind].Judged++
	return true
}

// within is the least coverage of a run.
func (v sight) within(run span) float64 {
	least := 1.0
	for i := run.first; i <= run.last; i++ {
		if v.ok[i] {
			least = min(least, v.coverage[i])
		}
	}
	return least
}

// activity is what an instance was asked, did and spent, a window. Windows that may
// not be judged have no values.
type activity struct {
	*Instance
	index int
	sight

	cores    series // CPU seconds a second
	received series // requests that began, a second
	done     series // units of work done, a second: see work
	cost     series // CPU ns a unit of work
	gap      series // ns from one answer to the next; without one, the whole window
	latency  series // median in ns, at the clients' end where that was recorded
	waiting  series // requests that were under way when the window ended
	failed   series // requests and connections that failed, a second
	queue    series // deepest accept queue

	// busyCost, busyGap and busyLoad are cost, gap and received of the windows in
	// which it had something to do: what others can be held against.
	busyCost, busyGap, busyLoad series
}

// activitiesOf looks at all instances of in.
func (s *search) activitiesOf(in *Input) []activity {
	list, doors := make([]activity, len(in.Instances)), doorsOf(in)
	for i := range in.Instances {
		list[i] = s.activityOf(in, i, &doors[i])
	}
	return list
}

// door is where requests come in to an instance.
type door struct {
	edges     []*Edge
	listeners []*Listener
}

func doorsOf(in *Input) []door {
	doors := make([]door, len(in.Instances))
	for k := range in.Edges {
		if i := in.Edges[k].Server.Index; i >= 0 && i < len(doors) {
			doors[i].edges = append(doors[i].edges, &in.Edges[k])
		}
	}
	for k := range in.Listeners {
		if i := in.Listeners[k].Instance; i >= 0 && i < len(doors) {
			doors[i].listeners = append(doors[i].listeners, &in.Listeners[k])
		}
	}
	return doors
}

// activities are those of the capture, and of the baseline; made at the first call.
func (s *search) activities() (now, healthy []activity) {
	if s.active == nil {
		s.active = s.activitiesOf(s.in)
		if s.baseline != nil {
			s.activeBefore = s.activitiesOf(s.baseline)
		}
	}
	return s.active, s.activeBefore
}

func (s *search) activityOf(in *Input, index int, d *door) activity {
	n, window := len(in.Windows), float64(in.WindowNs)
	a := activity{Instance: &in.Instances[index], index: index}
	a.sight = s.sightOf(in, a.Node, workTables)
	for _, v := range []*series{&a.cores, &a.received, &a.done, &a.cost, &a.gap, &a.latency, &a.waiting, &a.failed, &a.queue, &a.busyCost, &a.busyGap, &a.busyLoad} {
		*v = blank(n)
	}
	waiting := a.outstanding(d, in.WindowNs)
	for i := range n {
		if !a.ok[i] {
			continue
		}
		w := &a.Windows[i]
		perSecond := func(v float64) float64 { return v / window * 1e9 }
		work := workOf(w)
		a.cores[i] = float64(w.OnCPUNs) / window
		a.received[i] = perSecond(float64(w.Served.Count))
		a.done[i] = perSecond(work)
		a.cost[i] = float64(w.OnCPUNs) / max(work, 1)
		a.gap[i] = window / max(float64(answered(&w.Served)), 1)
		a.waiting[i] = waiting[i]
		a.askers(d, i)
		a.failed[i] = perSecond(a.failed[i])
		if work >= s.rules.of(common, "stall_min_work") {
			a.busyCost[i] = a.cost[i]
		}
		if n := float64(answered(&w.Served)); n >= s.rules.of(common, "stall_min_work") {
			a.busyGap[i], a.busyLoad[i] = a.gap[i], a.received[i]
		}
	}
	return a
}

// bytesOfWork count as one unit of work.
const bytesOfWork = 64 << 10

// workOf counts what was done in a window: answers given, answers got, and each
// 64 KiB to or from the network or a disk.
func workOf(w *InstanceWindow) float64 {
	moved := max(w.BytesIn, 0) + max(w.BytesOut, 0) + max(w.DiskReadBytes, 0) + max(w.DiskWriteBytes, 0)
	return float64(answered(&w.Served)+answered(&w.Asked)) + float64(moved)/bytesOfWork
}

func answered(r *Requests) int64 { return max(r.Count-r.Errors-r.InFlight, 0) }

// fewLatencies is the least number of latencies that a median is taken of.
const fewLatencies = 10

// askers fills in what those who ask saw in a window: both ends count, the worse
// one tells.
func (a *activity) askers(d *door, i int) {
	own := &a.Windows[i].Served
	var seen Requests
	for _, e := range d.edges {
		w := &e.Windows[i]
		seen.Errors += max(w.FailedConnects, 0)
		if e.ClientRecorded {
			seen.Errors += max(w.AtClient.Errors, 0)
			seen.Latency.Merge(&w.AtClient.Latency)
		}
	}
	latency := &own.Latency
	if seen.Latency.Count() >= fewLatencies {
		latency = &seen.Latency
	}
	if latency.Count() >= fewLatencies {
		a.latency[i] = float64(latency.Quantile(0.5))
	}
	a.failed[i] = float64(max(own.Errors, seen.Errors))
	for k, l := range d.listeners {
		if depth := float64(l.Windows[i].MaxDepth); k == 0 || depth > a.queue[i] {
			a.queue[i] = depth
		}
	}
}

// outstanding counts the requests that were under way when a window ended, at the
// end that knows of more.
func (a *activity) outstanding(d *door, windowNs int64) series {
	n := len(a.Windows)
	own, seen := make([]float64, n+1), make([]float64, n+1) // changes from window to window
	for i := range n {
		carry(own, i, &a.Windows[i].Served, windowNs)
		for _, e := range d.edges {
			if e.ClientRecorded {
				carry(seen, i, &e.Windows[i].AtClient, windowNs)
			}
		}
	}
	v, ownSum, seenSum := make(series, n), 0.0, 0.0
	for i := range n {
		ownSum, seenSum = ownSum+own[i], seenSum+seen[i]
		v[i] = max(ownSum, seenSum)
	}
	return v
}

// carry adds the requests of window i to the windows at whose end they were still
// under way. Of the last window that is not known.
func carry(change []float64, i int, r *Requests, windowNs int64) {
	last := len(change) - 2
	if i < last {
		change[i] += float64(max(r.InFlight, 0))
	}
	if r.Latency.Max() < windowNs {
		return
	}
	r.Latency.Each(func(low, count int64) {
		if low >= windowNs {
			change[i] += float64(count)
			change[min(int64(i)+low/windowNs, int64(last+1))] -= float64(count)
		}
	})
}

// measure is a series that activities are compared by.
type measure struct {
	name string
	of   func(*activity) series
	// peers: replicas have the same. Without it a balancer decides how much.
	peers bool
}

var (
	costMeasure    = measure{"cost", func(a *activity) series { return a.busyCost }, true}
	gapMeasure     = measure{"gap", func(a *activity) series { return a.busyGap }, true}
	latencyMeasure = measure{"latency", func(a *activity) series { return a.latency }, true}
	loadMeasure    = measure{"received", func(a *activity) series { return a.busyLoad }, false}
	waitingMeasure = measure{"waiting", func(a *activity) series { return a.waiting }, false}
	failedMeasure  = measure{"failed", func(a *activity) series { return a.failed }, false}
)

// norm is what a measure of an instance is held against: the same service in the
// healthy capture, else its replicas, else its own quiet windows.
func (s *search) norm(a *activity, m measure) Reference {
	now, healthy := s.activities()
	least := int(s.rules.of(common, "min_reference"))
	var same, all []float64
	for i := range healthy {
		if h := &healthy[i]; h.Service == a.Service {
			all = append(all, m.of(h).known()...)
			if h.Name == a.Name {
				same = append(same, m.of(h).known()...)
			}
		}
	}
	for _, values := range [][]float64{same, all} {
		if len(values) >= least {
			return referenceOf(FromBaseline, values)
		}
	}
	var others []float64
	for i := range now {
		if o := &now[i]; m.peers && o.Service == a.Service && o.index != a.index {
			others = append(others, s.typical(o, m))
		}
	}
	if r := referenceOf(FromPeers, others); r.N >= least {
		return r
	}
	return s.quietOf(m.of(a))
}

// typical is the median of a measure of the capture's instance, kept: each of many
// replicas asks for it.
func (s *search) typical(a *activity, m measure) float64 {
	key := typicalKey{a.index, m.name}
	v, ok := s.medians[key]
	if !ok {
		v = stat.Median(m.of(a).known())
		if s.medians == nil {
			s.medians = map[typicalKey]float64{}
		}
		s.medians[key] = v
	}
	return v
}

type typicalKey struct {
	instance int
	measure  string
}

// ratios is a series in units of a reference; without one, NaN throughout.
func (v series) ratios(r Reference) series {
	out := make(series, len(v))
	for i := range v {
		out[i] = r.ratio(v[i])
	}
	return out
}

// subject names an instance; the process, if it is one.
func (s *search) subject(a *activity) Subject {
	sub := Subject{Type: "instance", Name: instanceName(a.Instance), Service: a.Service}
	if a.Node >= 0 && a.Node < len(s.in.Nodes) {
		sub.Host = s.in.Nodes[a.Node].Name
	}
	if len(a.PIDs) == 1 {
		sub.PID = a.PIDs[0]
	}
	return sub
}

func instanceName(i *Instance) string {
	if i.Name == "" || strings.Contains(i.Name, i.Service) {
		return i.Name
	}
	return i.Service + " " + i.Name
}

// threadsOf are the threads of an instance, busiest in the run first.
func (s *search) threadsOf(a *activity, run span) []*Thread {
	busy := func(t *Thread) int64 {
		sum := int64(0)
		for _, w := range t.Windows[run.first : run.last+1] {
			sum += w.OnCPUNs
		}
		return sum
	}
	var list []*Thread
	for i := range s.in.Threads {
		if t := &s.in.Threads[i]; t.Instance == a.index {
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(x, y *Thread) int { return int(min(max(busy(y)-busy(x), -1), 1)) })
	return list
}
