package breakdown

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// spread is requests of some instances, in so many windows.
func spread(r *rand.Rand, n int, windows int32) []Request {
	list := make([]Request, n)
	for i := range list {
		list[i] = request(0, 1+r.Int64N(400), 1, known, r.Int64N(3), r.Int64N(9))
		list[i].Instance, list[i].Window = r.Int32N(3), r.Int32N(windows)
	}
	return list
}

func (s *Sums) all(list []Request) *Sums {
	for i := range list {
		parts, called := list[i].split(2*ms, true)
		s.add(&list[i], &parts, []Called{{Cell: 4, Ns: called}})
	}
	return s
}

// The windows of a band add up to it.
func TestWindowsAddUp(t *testing.T) {
	for _, limit := range []int{0, 1500} {
		s := (&Sums{limit: limit}).all(spread(rand.New(rand.NewPCG(1, 2)), 5000, 60))
		for number := range 3 {
			i := s.Of(number)
			for _, b := range []Band{i.Band(0, 1), i.Band(0.4, 0.6), i.Band(0.98, 1)} {
				var sum Spent
				last := int32(-1)
				i.Each(&b, func(index int32, w *Spent) {
					if index <= last || int64(index) >= 60/s.Joined()+1 {
						t.Errorf("limit %d: window %d after %d", limit, index, last)
					}
					last = index
					sum.merge(w)
				})
				if !reflect.DeepEqual(sum, b.Spent) || sum.Requests == 0 || last < 1 {
					t.Errorf("limit %d: the windows add up to\n%+v, want\n%+v", limit, sum, b.Spent)
				}
				checkWhole(t, sum)
			}
		}
	}
}

// How wide windows become does not depend on who counted which request, nor on the
// order; there are never more Spents than may be, but for those of one window.
func TestWindowsBecomeWider(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	list := spread(r, 4000, 500)
	for _, limit := range []int{1, 150, 300, 1000, 1 << 20} {
		want := (&Sums{limit: limit}).all(list)
		if want.spents > limit && want.shift < maxShift {
			t.Errorf("limit %d: %d are kept", limit, want.spents)
		}
		if narrower := (&Sums{limit: 1 << 20}).all(list); want.shift > 0 {
			for narrower.shift < want.shift-1 {
				narrower.widen()
			}
			if narrower.spents <= limit {
				t.Errorf("limit %d: windows are wider than need be", limit)
			}
		}
		for range 5 {
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			got := &Sums{limit: limit}
			for from := 0; from < len(list); {
				to := min(from+1+r.IntN(1500), len(list))
				got.Merge((&Sums{limit: limit}).all(list[from:to]))
				from = to
			}
			forgetLatest(got)
			forgetLatest(want)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("limit %d: another order gives %d windows of one, want %d", limit, got.Joined(), want.Joined())
			}
		}
	}
}

// forgetLatest forgets which windows were added to last.
func forgetLatest(s *Sums) {
	for _, i := range s.instances {
		if i != nil {
			i.latest, i.index = nil, 0
		}
	}
}
