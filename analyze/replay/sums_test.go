package replay

import (
	"reflect"
	"testing"
)

// windowsOf lists what a key has, by the start of the window.
func windowsOf(s *Sums[string], key string) map[int64]Sum {
	list := map[int64]Sum{}
	for i := range s.Windows.Count {
		if sum := s.At(key, i); sum != nil {
			list[s.Windows.BaseNs+int64(i)*s.Windows.WidthNs] = *sum
		}
	}
	return list
}

// However much there is, sums stay exact; where there is no room, windows widen, the
// same from whichever end it came.
func TestSumsWiden(t *testing.T) {
	w := Windows{FromNs: 100, ToNs: 200, BaseNs: 100, WidthNs: 10, Count: 10}
	added := func(limit int, from, to int64) *Sums[string] {
		s := NewSums[string](w)
		s.limit = limit
		for at := from; at < to; at++ {
			s.Add("a", at, Sum{Values: [4]int64{1, at}, Max: [2]int64{at}})
		}
		s.Add("b", from, Sum{Values: [4]int64{1}})
		return s
	}
	exact := added(100, 100, 130)
	want := map[int64]Sum{
		100: {Values: [4]int64{10, 1045}, Max: [2]int64{109}}, 110: {Values: [4]int64{10, 1145}, Max: [2]int64{119}}, 120: {Values: [4]int64{10, 1245}, Max: [2]int64{129}}}
	if got := windowsOf(exact, "a"); !reflect.DeepEqual(got, want) || exact.Windows != w {
		t.Errorf("with room for all: %v of %+v", got, exact.Windows)
	}
	wide := added(3, 100, 130)
	want = map[int64]Sum{100: {Values: [4]int64{20, 2190}, Max: [2]int64{119}}, 120: {Values: [4]int64{10, 1245}, Max: [2]int64{129}}}
	if got := windowsOf(wide, "a"); !reflect.DeepEqual(got, want) || wide.Windows.WidthNs != 20 || wide.Windows.Count != 5 {
		t.Errorf("with room for three: %v of %+v", got, wide.Windows)
	}
	for _, order := range [][2]*Sums[string]{{added(100, 100, 130), added(3, 130, 160)}, {added(3, 130, 160), added(100, 100, 130)}} {
		s := order[0]
		s.Merge(order[1])
		if got := windowsOf(s, "a"); s.Windows.WidthNs < 20 || total(got) != 60 {
			t.Errorf("merged: %v of %+v", got, s.Windows)
		}
		if total(windowsOf(s, "b")) != 2 {
			t.Errorf("merged, b has %v", windowsOf(s, "b"))
		}
	}
}

func total(of map[int64]Sum) (n int64) {
	for _, s := range of {
		n += s.Values[0]
	}
	return n
}
