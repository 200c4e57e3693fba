package compare

import (
	"math"

	"kmon/analyze/stat"
)

// step is what a subject did in one window. Sums that were not recorded are NaN.
type step struct {
	sums    [quantities]float64
	latency stat.Sketch
}

// add adds another window; what one of them lacks the sum lacks.
func (s *step) add(o *step) {
	for q := range s.sums {
		s.sums[q] += o.sums[q]
	}
	s.latency.Merge(&o.latency)
}

// key tells subjects apart.
type key struct {
	service        string // "": an edge
	client, server string
	port           int32
}

// series is a subject of one run, window by window.
type series struct {
	key
	steps []step
	// End is whose end the requests of an edge were counted on.
	end string
}

// total adds a sum up over the windows.
func (s *series) total(q quantity) float64 {
	sum := 0.0
	for i := range s.steps {
		sum += s.steps[i].sums[q]
	}
	return sum
}

// grid is the windows of a run: which may be used, and how much of them was
// recorded.
type grid struct {
	startNs, widthNs int64
	usable           []bool
	coverage         [tables][]float64 // NaN: not recorded
}

// folded makes one window of so many, as far as they go.
func (g *grid) folded(n int) grid {
	if n <= 1 {
		return *g
	}
	f := grid{startNs: g.startNs, widthNs: g.widthNs * int64(n)}
	for at := 0; at+n <= len(g.usable); at += n {
		all := true
		for i := at; i < at+n; i++ {
			all = all && g.usable[i]
		}
		f.usable = append(f.usable, all)
		for t := range g.coverage {
			least := math.Inf(1)
			for _, c := range g.coverage[t][at : at+n] {
				least = math.Min(least, c) // NaN stays
			}
			f.coverage[t] = append(f.coverage[t], least)
		}
	}
	return f
}

// foldSteps makes one step of so many.
func foldSteps(steps []step, n int) []step {
	if n <= 1 {
		return steps
	}
	var list []step
	for at := 0; at+n <= len(steps); at += n {
		var sum step
		for i := at; i < at+n; i++ {
			sum.add(&steps[i])
		}
		list = append(list, sum)
	}
	return list
}
