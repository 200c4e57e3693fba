package analyze

import (
	"cmp"
	"slices"

	"kmon/analyze/stat"
)

// maxClassed is how many services, how many edges and how many disks of a capture
// have the latencies of each window by class: those with the most requests or IOs.
const maxClassed = 32

// mostOf says which of n things are among the most with the highest counts, of
// equal ones the first.
func mostOf(n, most int, count func(i int) int64) []bool {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(count(b), count(a)) })
	among := make([]bool, n)
	for _, i := range order[:min(n, most)] {
		among[i] = true
	}
	return among
}

// eachOfMost calls fn for those elements of all lists together that are among the most
// that count most, by list and place in it.
func eachOfMost[T any](lists [][]T, most int, count func(list, at int) int64, fn func(list, at int)) {
	type element struct{ list, at int }
	all := []element{}
	for i := range lists {
		for j := range lists[i] {
			all = append(all, element{i, j})
		}
	}
	for k, among := range mostOf(len(all), most, func(k int) int64 { return count(all[k].list, all[k].at) }) {
		if among {
			fn(all[k].list, all[k].at)
		}
	}
}

// classesOf lists what a distribution counted; nil: nothing.
func classesOf(s *stat.Sketch) []ClassCount {
	var list []ClassCount
	s.EachClass(func(class int32, count int64) {
		list = append(list, ClassCount{class, count})
	})
	return list
}
