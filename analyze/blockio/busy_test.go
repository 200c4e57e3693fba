package blockio

import (
	"math"
	"math/rand/v2"
	"testing"

	"kmon/analyze/replay"
)

// Times in any order are busy as often as a count by nanosecond says.
func TestBusyIsTheUnion(t *testing.T) {
	w := replay.Windows{FromNs: math.MinInt64, ToNs: math.MaxInt64, BaseNs: 100, WidthNs: 50, Count: 20}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		var b busy
		busyAt := map[int64]bool{}
		for range r.IntN(100) {
			from := r.Int64N(1300)
			to := from + 1 + r.Int64N(30)
			b.add(from, to, &w)
			for ns := from; ns < to; ns++ {
				busyAt[ns] = true
			}
		}
		got := b.result(&w)
		for i := range w.Count {
			want := int64(0)
			for ns := w.BaseNs + int64(i)*w.WidthNs; ns < w.BaseNs+int64(i+1)*w.WidthNs; ns++ {
				if busyAt[ns] {
					want++
				}
			}
			if got[i] != want {
				t.Fatalf("seed %d: window %d was busy for %d, want %d", seed, i, got[i], want)
			}
		}
	}
}

// Times that lie apart are counted and dropped; one that began before them makes
// whole windows busy and adds what is after, and never more than there is time.
func TestBusyIsBounded(t *testing.T) {
	w := replay.Windows{BaseNs: 0, WidthNs: 1000, Count: 1000}
	var b busy
	for i := range int64(2 * maxApart) {
		b.add(10*i, 10*i+1, &w)
		if len(b.times) > maxApart {
			t.Fatalf("%d times are kept", len(b.times))
		}
	}
	last := int64(2*maxApart) * 10
	through := int(w.Of(b.through)) // half of it is before what was dropped
	b.add(500, last+100, &w)
	got := b.result(&w)
	for i, ns := range got {
		end := int64(i+1) * w.WidthNs
		if i == through {
			continue
		}
		if ns > w.WidthNs || i > 0 && end <= last && ns != w.WidthNs || i == 0 && ns != 100 {
			t.Fatalf("window %d was busy for %d", i, ns)
		}
	}
}
