package analyze

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"kmon/format"
)

// garbage fills every field of a row with a number or text that hurts.
func garbage[T any](r *rand.Rand) T {
	var row T
	v := reflect.ValueOf(&row).Elem()
	numbers := []int64{0, 1, -1, 2, 3, mono0, mono0 + second, math.MaxInt64, math.MinInt64, math.MaxInt32, r.Int64(), 80, 40000}
	texts := []string{"", "a", "127.0.0.1", "::1", "10.0.0.1", "not an address", "10.0.0.1/33", "\x00\n"}
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(texts[r.IntN(len(texts))])
		default:
			f.SetInt(numbers[r.IntN(len(numbers))])
		}
	}
	return row
}

func garbageRows[T any](r *rand.Rand) []T {
	rows := make([]T, r.IntN(60))
	for i := range rows {
		rows[i] = garbage[T](r)
	}
	return rows
}

// Rows are hostile input: whatever they hold, a run ends with an Analysis that
// is consistent in itself, or with an error.
func TestGarbageRows(t *testing.T) {
	analyses := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		s := newStory(t, "node1")
		s.sockets, s.exchanges = garbageRows[format.Socket](r), garbageRows[format.Exchange](r)
		s.processes, s.procs = garbageRows[format.Process](r), garbageRows[format.Proc](r)
		s.listeners, s.addresses = garbageRows[format.Listener](r), garbageRows[format.Interface](r)
		s.losses, s.self, s.marks = garbageRows[format.Loss](r), garbageRows[format.Self](r), garbageRows[format.Mark](r)
		for i := range s.exchanges {
			s.exchanges[i].Flags &= 1<<13 - 1
		}
		if seed%3 == 0 {
			s.final = nil
		}
		if seed%4 == 0 {
			s.manifest.Clock = garbage[format.ClockPair](r)
		}
		a, err := Run(t.Context(), []string{s.write()}, Options{Workers: 2, partSockets: 7, partSegments: 1})
		if err != nil {
			continue
		}
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		checkConsistent(t, a)
		analyses++
	}
	if analyses < 40 {
		t.Errorf("%d of 60 runs gave an analysis: the others tested little", analyses)
	}
}

// checkConsistent holds an Analysis to what every one promises.
func checkConsistent(t *testing.T, a *Analysis) {
	t.Helper()
	requests := map[string]int64{}
	for _, e := range a.Edges {
		points := int64(0)
		for _, p := range e.Series {
			points += p.Requests
		}
		if points != e.Requests {
			t.Errorf("%s → %s: %d requests, %d in windows", e.Client, e.Server, e.Requests, points)
		}
		if e.Network.Count > e.Matched || e.Matched > e.Requests {
			t.Errorf("%s → %s: %d network times of %d matched of %d", e.Client, e.Server, e.Network.Count, e.Matched, e.Requests)
		}
		requests[e.Server] += e.Requests
	}
	for i, s := range a.Services {
		if i > 0 && a.Services[i-1].Name >= s.Name {
			t.Errorf("services %q and %q are not in order", a.Services[i-1].Name, s.Name)
		}
		if s.Requests != s.Latency.Count+s.Untimed+s.Unanswered+s.InFlight {
			t.Errorf("%s: %d requests are not %d timed, %d untimed, %d unanswered, %d in flight",
				s.Name, s.Requests, s.Latency.Count, s.Untimed, s.Unanswered, s.InFlight)
		}
		if d := s.Latency; d.P50 > d.P90 || d.P90 > d.P99 || d.P99 > d.Max {
			t.Errorf("%s: quantiles %+v", s.Name, d)
		}
		if s.Ends == "server" && s.Requests > requests[s.Name] {
			t.Errorf("%s: %d requests, %d on its edges", s.Name, s.Requests, requests[s.Name])
		}
		if s.Coverage < 0 || s.Coverage > 1 {
			t.Errorf("%s: coverage %v", s.Name, s.Coverage)
		}
	}
}

// The random stories are consistent too.
func TestRandomStoriesAreConsistent(t *testing.T) {
	for seed := range uint64(5) {
		checkConsistent(t, analyzed(t, Options{}, randomStory(t, 1000+seed)))
	}
}

// So are the tables that findings are made of.
func TestGarbageForFindings(t *testing.T) {
	inputs := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 12))
		n := newNode(t, "node1")
		n.withBlock()
		n.withDrop()
		n.sockets, n.exchanges, n.processes = garbageRows[format.Socket](r), garbageRows[format.Exchange](r), garbageRows[format.Process](r)
		for i := range n.exchanges {
			n.exchanges[i].Flags &= 1<<13 - 1
		}
		n.intervals, n.offcpu, n.samples = garbageRows[format.Interval](r), garbageRows[format.OffCPU](r), garbageRows[format.OnCPU](r)
		n.frames, n.stacks = garbageRows[format.Frame](r), garbageRows[format.Stack](r)
		n.ios, n.disks = garbageRows[format.IO](r), garbageRows[format.Disk](r)
		n.events, n.queues, n.losses = garbageRows[format.NetEvent](r), garbageRows[format.AcceptQueue](r), garbageRows[format.Loss](r)
		limits := garbageRows[format.Limit](r)
		n.story.more = append(n.story.more, func(w *format.Writer) { add(t, w, limits) })
		if seed%4 == 0 {
			n.manifest.Clock = garbage[format.ClockPair](r)
		}
		in, _, err := inputOf(t.Context(), []string{n.write()}, Options{Workers: 2, partSockets: 7, partSegments: 1})
		if err != nil {
			continue
		}
		inputs++
		for i := range in.Instances {
			if len(in.Instances[i].Windows) != len(in.Windows) {
				t.Fatalf("seed %d: an instance has %d of %d windows", seed, len(in.Instances[i].Windows), len(in.Windows))
			}
		}
		for _, d := range in.Disks {
			for _, w := range d.Windows {
				if w.BusyNs < 0 || w.BusyNs > in.WindowNs {
					t.Errorf("seed %d: a disk was busy for %d of %d", seed, w.BusyNs, in.WindowNs)
				}
			}
		}
		for _, node := range in.Nodes {
			for _, w := range node.Windows {
				for _, c := range []float64{w.Coverage.Exchanges, w.Coverage.Intervals, w.Coverage.IOs, w.Coverage.NetEvents} {
					if c != -1 && !(c >= 0 && c <= 1) {
						t.Errorf("seed %d: coverage %g", seed, c)
					}
				}
			}
		}
	}
	if inputs < 40 {
		t.Errorf("%d of 60 runs gave an input: the others tested little", inputs)
	}
}
