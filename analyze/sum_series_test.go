package analyze

import (
	"reflect"
	"testing"

	"kmon/format"
)

// added adds the windows of a series up.
func added(t *testing.T, s *SumSeries) []int64 {
	t.Helper()
	var sums []int64
	for i, p := range s.Points {
		if i > 0 && (p.StartNs <= s.Points[i-1].StartNs || (p.StartNs-s.Points[0].StartNs)%s.WidthNs != 0) {
			t.Errorf("point %d is at %d, the one before at %d", i, p.StartNs, s.Points[i-1].StartNs)
		}
		if sums == nil {
			sums = make([]int64, len(p.Sums))
		}
		for k, v := range p.Sums {
			sums[k] += v
		}
	}
	return sums
}

// The windows of waits, threads and calls add up to what their rows say.
func TestSumsByWindow(t *testing.T) {
	a := analyzed(t, Options{}, busyNode(t).story)
	waiting := 0
	for _, s := range a.Services {
		if len(s.OffCPU) == 0 {
			continue
		}
		waiting++
		want := []int64{}
		for _, w := range s.OffCPU {
			want = append(want, w.TotalNs)
		}
		if got := added(t, &s.WaitSeries); !reflect.DeepEqual(got, want) {
			t.Errorf("%s waited %v by window, %v in all", s.Name, got, want)
		}
	}
	if waiting < 3 || len(a.Threads) < 4 || len(a.Syscalls) != 2 {
		t.Fatalf("%d services wait, %d threads, %d calls", waiting, len(a.Threads), len(a.Syscalls))
	}
	for _, thread := range a.Threads {
		if got, want := added(t, &thread.Series), []int64{thread.CPU.OnCPUNs, thread.CPU.RunQueueNs}; !reflect.DeepEqual(got, want) {
			t.Errorf("thread %d used %v by window, %v in all", thread.TID, got, want)
		}
	}
	for _, c := range a.Syscalls {
		want := []int64{c.Count, *c.Errors, 0}
		if c.TotalNs != nil {
			want[2] = *c.TotalNs
		}
		if got := added(t, &c.Series); !reflect.DeepEqual(got, want) {
			t.Errorf("%s was called %v by window, %v in all", c.Name, got, want)
		}
	}
}

// The windows of a band add up to its requests and to the time of each part.
func TestBreakdownByWindow(t *testing.T) {
	a := analyzed(t, Options{}, frontAndStock(t, format.ExchangeAccounted))
	front := serviceNamed(t, a, "front").Breakdown
	for _, b := range []BreakdownBand{front.Middle, front.Slow} {
		want := []int64{b.Requests}
		for _, p := range b.Parts {
			want = append(want, p.Ns*b.Requests) // all alike: the means are exact
		}
		if got := added(t, &b.Series); !reflect.DeepEqual(got, want) {
			t.Errorf("by window %v, want %v", got, want)
		}
	}
	slow := map[int64]int64{}
	for _, p := range front.Slow.Series.Points {
		slow[(p.StartNs-front.Slow.Series.Points[0].StartNs)/second] += p.Sums[0]
	}
	if want := map[int64]int64{0: 1, 4: 1, 7: 1}; !reflect.DeepEqual(slow, want) { // at 0.9, 4.2 and 7.5 s
		t.Errorf("slow requests by second from the first: %v, want %v", slow, want)
	}
}
