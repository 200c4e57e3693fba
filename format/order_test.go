package format

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOrderIsStableAndSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := []struct {
		name string
		key  func(i int) int64
	}{
		{"sorted", func(i int) int64 { return int64(i) }},
		{"nearly sorted", func(i int) int64 { return int64(i) + int64(r.IntN(3)) }},
		{"random", func(int) int64 { return int64(r.IntN(500)) }},
		{"reversed", func(i int) int64 { return int64(-i) }},
		{"wider than a packed key", func(i int) int64 { return int64(r.Uint64()) }},
		{"extremes", func(i int) int64 { return []int64{math.MinInt64, math.MaxInt64, 0}[i%3] }},
		{"equal", func(int) int64 { return 7 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rows := make([]Exchange, 5000)
			for i := range rows {
				rows[i] = Exchange{StartNs: c.key(i), RequestBytes: int64(i)}
			}
			want := slices.Clone(rows)
			sortExchanges(want)
			var o ordering
			got, _ := o.sortExchanges(rows, nil)
			if !slices.Equal(got, want) {
				t.Error("rows are not in stable order")
			}
		})
	}
}
