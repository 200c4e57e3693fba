package breakdown

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"kmon/format"
)

const ms = 1_000_000

// request is one of process 1, in ms; its waits are in ms, too.
func request(start, end int64, tid int32, flags format.ExchangeFlags, waits ...int64) Request {
	r := Request{StartNs: start * ms, EndNs: end * ms, PID: 1, TID: tid, Flags: flags}
	for i, w := range waits {
		r.Waits[i] = w * ms
	}
	return r
}

func call(start, end int64, tid, cell int32) Call {
	return Call{StartNs: start * ms, EndNs: end * ms, PID: 1, TID: tid, Cell: cell}
}

// total sums all requests of a Join that got these rows.
func total(requests []Request, calls ...Call) Band {
	j := NewJoin(1)
	j.add(0, rows{requests: requests, calls: calls, endNs: 0})
	sums := j.Sums()
	return sums.at(0).Band(0, 1)
}

const known = format.ExchangeAccounted

func TestParts(t *testing.T) {
	for _, test := range []struct {
		name  string
		row   Request
		calls []Call
		ns    map[Part]int64 // in ms
		asked map[int32]int64
	}{
		{"all of its own", request(0, 21, 1, known, 1, 2, 3, 4, 5, 6), nil,
			map[Part]int64{OnCPU: 0, RunQueue: 1, Lock: 2, Disk: 3, Sleep: 4, Other: 5, Network: 6}, nil},
		{"the rest is on a CPU", request(0, 10, 1, known, 1, 2), nil, map[Part]int64{OnCPU: 7, RunQueue: 1, Lock: 2}, nil},
		{"waits longer than the request", request(0, 3, 1, known, 2, 2, 2), nil, map[Part]int64{RunQueue: 2, Lock: 1}, nil},
		{"negative waits", request(0, 3, 1, known, -2), nil, map[Part]int64{OnCPU: 3}, nil},
		{"nothing known", request(0, 9, 1, 0), nil, map[Part]int64{Unknown: 9}, nil},
		{"handed over", request(0, 9, 1, known|handedOver, 1, 2, 3), nil, map[Part]int64{Unknown: 9}, nil},
		{"a callee", request(0, 9, 1, known, 1, 0, 0, 0, 0, 6), []Call{call(1, 5, 1, 7)},
			map[Part]int64{OnCPU: 2, RunQueue: 1, Network: 2}, map[int32]int64{7: 4}},
		{"a callee while it worked", request(0, 9, 1, known, 0, 0, 0, 0, 0, 3), []Call{call(1, 7, 1, 7)},
			map[Part]int64{OnCPU: 6}, map[int32]int64{7: 3}},
		{"two callees, one of them meanwhile", request(0, 9, 1, known, 0, 0, 0, 0, 0, 8), []Call{call(1, 5, 1, 7), call(2, 6, 1, 8)},
			map[Part]int64{OnCPU: 1, Network: 3}, map[int32]int64{7: 4, 8: 1}},
		{"another thread asked", request(0, 9, 1, known, 0, 5, 0, 0, 0, 0), []Call{call(1, 5, 2, 7)},
			map[Part]int64{OnCPU: 4, Lock: 1}, map[int32]int64{7: 4}},
		{"it asked, and waited for a lock", request(0, 9, 1, known, 0, 5, 0, 0, 0, 0), []Call{call(1, 5, 1, 7)},
			map[Part]int64{OnCPU: 4, Lock: 5}, nil},
		{"a callee of one not known", request(0, 9, 1, 0), []Call{call(1, 5, 2, 7)}, map[Part]int64{Unknown: 5}, map[int32]int64{7: 4}},
		{"a call that goes on after the answer", request(0, 9, 1, 0), []Call{call(1, 10, 1, 7)}, map[Part]int64{Unknown: 9}, nil},
		{"a call before the request", request(2, 9, 1, 0), []Call{call(1, 3, 1, 7)}, map[Part]int64{Unknown: 7}, nil},
	} {
		b := total([]Request{test.row}, test.calls...)
		for part, ns := range b.Ns {
			if want := test.ns[Part(part)]; ns != want*ms {
				t.Errorf("%s: part %d is %d ns, want %d ms", test.name, part, ns, want)
			}
		}
		asked := map[int32]int64{}
		for _, c := range b.Calls {
			asked[c.Cell] = c.Ns / ms
		}
		if len(asked)+len(test.asked) > 0 && !reflect.DeepEqual(asked, test.asked) {
			t.Errorf("%s: callees %v, want %v", test.name, asked, test.asked)
		}
		checkWhole(t, b.Spent)
	}
}

// checkWhole fails when the parts are not the whole.
func checkWhole(t *testing.T, s Spent) {
	t.Helper()
	sum := int64(0)
	for _, ns := range s.Ns {
		sum += ns
	}
	for _, c := range s.Calls {
		sum += c.Ns
	}
	if sum != s.TotalNs {
		t.Errorf("the parts are %d ns, the whole is %d", sum, s.TotalNs)
	}
}

// A call belongs to the one request that it lies within, else to the one of its
// thread; what may be of several is of none, and counted.
func TestWhoseCall(t *testing.T) {
	for _, test := range []struct {
		name     string
		requests []Request
		calledMs int64
		unclear  int64
	}{
		{"one after the other", []Request{request(0, 4, 1, 0), request(4, 20, 1, 0)}, 4, 0},
		{"two, of different threads", []Request{request(0, 20, 1, 0), request(1, 21, 2, 0)}, 4, 0},
		{"two of the same thread", []Request{request(0, 20, 1, 0), request(1, 21, 1, 0)}, 0, 1},
		{"two of other threads", []Request{request(0, 20, 2, 0), request(1, 21, 3, 0)}, 0, 1},
		{"one is over before", []Request{request(0, 8, 2, 0), request(1, 21, 3, 0)}, 4, 0},
		{"one begins meanwhile", []Request{request(6, 30, 2, 0), request(1, 21, 3, 0)}, 4, 0},
		{"none", []Request{request(6, 30, 1, 0)}, 0, 0},
	} {
		j := NewJoin(1)
		j.add(0, rows{requests: test.requests, calls: []Call{call(5, 9, 1, 7)}})
		sums := j.Sums()
		got, called := sums.at(0), int64(0)
		for _, c := range got.Band(0, 1).Calls {
			called += c.Ns / ms
		}
		if called != test.calledMs || got.Unclear != test.unclear {
			t.Errorf("%s: %d ms called, %d unclear, want %d, %d", test.name, called, got.Unclear, test.calledMs, test.unclear)
		}
	}
}

// randomRows are batches of requests and their calls, whose rows may be in any
// batch up to 8 s later.
func randomRows(r *rand.Rand, seconds int) []rows {
	list := make([]rows, seconds+9)
	for at := range seconds {
		for range 20 {
			start := int64(at)*1000 + r.Int64N(1000)
			q := request(start, start+1+r.Int64N(50), r.Int32N(4), known, r.Int64N(2), r.Int64N(2), 0, 0, 0, r.Int64N(30))
			q.PID, q.Instance = r.Int32N(3), r.Int32N(2)
			c := Call{StartNs: q.StartNs + r.Int64N(ms), EndNs: q.EndNs - r.Int64N(ms), PID: q.PID, TID: q.TID, Cell: r.Int32N(5)}
			to := &list[at+r.IntN(8)]
			to.requests = append(to.requests, q)
			to.endNs = max(to.endNs, q.EndNs)
			to = &list[at+r.IntN(8)]
			to.calls = append(to.calls, c)
			to.endNs = max(to.endNs, c.EndNs)
		}
	}
	return list
}

// Whatever the order in which batches are read, and wherever parts end, the result
// is the same, and parts are the whole.
func TestJoinInAnyOrder(t *testing.T) {
	for seed := range uint64(5) {
		list := randomRows(rand.New(rand.NewPCG(seed, 1)), 60)
		one := NewJoin(1)
		all := rows{}
		for _, batch := range list {
			all.requests = append(all.requests, batch.requests...)
			all.calls = append(all.calls, batch.calls...)
		}
		one.add(0, all) // everything is known at once
		want := one.Sums()
		for round := range 5 {
			r := rand.New(rand.NewPCG(seed, uint64(round)))
			j := NewJoin(1)
			for from := 0; from < len(list); {
				to := min(from+1+r.IntN(20), len(list))
				for _, i := range r.Perm(to - from) {
					j.add(from+i, list[from+i])
				}
				j.SkipTo(to)
				from = to
			}
			if got := j.Sums(); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: another order gives another result", seed)
			}
		}
		calls := 0
		for _, i := range want.instances {
			b := i.Band(0, 1)
			checkWhole(t, b.Spent)
			calls += len(b.Calls)
		}
		if calls == 0 {
			t.Error("no call found its request")
		}
	}
}

// A batch that can't be read is missing in the numbers: those after it count.
func TestDamagedBatch(t *testing.T) {
	j := NewJoin(1)
	j.add(1, rows{requests: []Request{request(0, 9, 1, 0)}})
	j.SkipTo(3)
	j.add(3, rows{requests: []Request{request(0, 9, 1, 0)}})
	sums := j.Sums()
	if got := sums.at(0).Requests(); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

// What is held is bounded, and every request is counted.
func TestJoinIsBounded(t *testing.T) {
	j := NewJoin(1 << 20)
	want := int64(0)
	for i := range 100 {
		batch := rows{endNs: int64(i) * ms}
		for k := range 500 {
			batch.requests = append(batch.requests, request(int64(i), int64(i)+1, int32(k), known))
			batch.calls = append(batch.calls, call(int64(i), int64(i)+100_000, 9, 1))
			want++
		}
		j.add(i, batch)
		if j.held > j.limit {
			t.Fatalf("%d rows are held, the limit is %d", j.held, j.limit)
		}
	}
	sums := j.Sums()
	if got := sums.at(0).Requests(); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

func TestBands(t *testing.T) {
	var s Sums
	for n := range int64(1000) {
		r := request(0, n+1, 1, known)
		parts, _ := r.split(0, false)
		s.add(&r, &parts, nil)
	}
	i := s.Of(0)
	for _, test := range []struct {
		from, to        float64
		low, high       int64 // ms
		atLeast, atMost int64
	}{
		{0.4, 0.6, 401, 600, 200, 300}, {0.98, 1, 981, 1000, 20, 80}, {0, 1, 1, 1000, 1000, 1000},
	} {
		b := i.Band(test.from, test.to)
		if b.FromNs > test.low*ms || b.ToNs <= test.high*ms || b.Requests < test.atLeast || b.Requests > test.atMost {
			t.Errorf("from %g to %g: %d requests of %d to %d ns", test.from, test.to, b.Requests, b.FromNs, b.ToNs)
		}
		checkWhole(t, b.Spent)
	}
	if b := new(Instance).Band(0, 1); b.Requests != 0 {
		t.Errorf("of nothing: %+v", b)
	}
}

func TestBucketsCoverAllLatencies(t *testing.T) {
	for _, ns := range []int64{0, 1, 15, 16, 31, 32, 33, 63, 64, 1000, ms, 12345678, maxNs} {
		at := bucketOf(ns)
		if low, high := lowOf(at), lowOf(at+1); ns < low || ns >= high || high-low > max(ns/16, 1) {
			t.Errorf("%d ns are in bucket %d, from %d to %d", ns, at, low, high)
		}
	}
}

// Sums of hostile rows do not wrap.
func TestHostileRows(t *testing.T) {
	var s Sums
	for range 1 << 14 {
		r := Request{StartNs: -1 << 62, EndNs: 1 << 62, Flags: known, Waits: [waits]int64{1 << 62, -1 << 62}}
		parts, _ := r.split(1<<62, true)
		s.add(&r, &parts, nil)
	}
	if b := s.Of(0).Band(0, 1); b.TotalNs < 0 || b.Ns[RunQueue] < 0 {
		t.Errorf("wrapped: %+v", b)
	}
}
