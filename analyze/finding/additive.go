package finding

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// pair is two nodes, the asking one first.
type pair struct{ from, to string }

// additive explains the logarithm of how late pairs of nodes are by a term of the
// asking node, one of the answering node, and a rest of the pair:
// ln late = overall + from + to + rest.
type additive struct {
	overall  float64
	from, to map[string]float64
	rest     map[pair]float64
}

const (
	// A model of fewer nodes or pairs has too little to tell its terms apart.
	additiveNodes, additivePairs = 4, 6
	polishRounds                 = 10
)

// polish fits the model by median polish (Tukey, 1977), which a few strange pairs
// do not disturb; ok is false with too few nodes or pairs. The answering side is
// swept first: a pair whose client asks nobody else counts for the client.
func polish(late map[pair]float64) (m additive, ok bool) {
	m = additive{from: map[string]float64{}, to: map[string]float64{}, rest: maps.Clone(late)}
	pairs := slices.SortedFunc(maps.Keys(late), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	nodes := map[string]bool{}
	for _, p := range pairs {
		nodes[p.from], nodes[p.to] = true, true
	}
	if len(nodes) < additiveNodes || len(pairs) < additivePairs {
		return m, false
	}
	for range polishRounds {
		m.sweep(pairs, m.to, func(p pair) string { return p.to })
		m.sweep(pairs, m.from, func(p pair) string { return p.from })
	}
	m.overall = center(m.to) + center(m.from)
	return m, true
}

// sweep moves the median of what is left of each side's pairs to its term.
func (m *additive) sweep(pairs []pair, terms map[string]float64, side func(pair) string) {
	left := map[string][]float64{}
	for _, p := range pairs {
		left[side(p)] = append(left[side(p)], m.rest[p])
	}
	for name, values := range left {
		left[name] = []float64{stat.Median(values)}
		terms[name] += left[name][0]
	}
	for _, p := range pairs {
		m.rest[p] -= left[side(p)][0]
	}
}

// center takes the median out of terms and gives it.
func center(terms map[string]float64) float64 {
	middle := stat.Median(slices.Collect(maps.Values(terms)))
	for name := range terms {
		terms[name] -= middle
	}
	return middle
}

// late gives the model of a run: of each pair of nodes the median over its cells
// and windows of ln(value / reference).
func (s *search) late(pick func(*cell) *track, run span) (additive, bool) {
	t := s.traffic()
	values := map[pair][]float64{}
	for i := range t.cells {
		c := &t.cells[i]
		if c.client.host == "" || c.server.host == "" {
			continue
		}
		p := pair{c.client.host, c.server.host}
		peers := t.peersOf(i)
		for w := run.first; w <= run.last; w++ {
			ratio := s.against(pick(c), t.valuesAt(peers, w, pick)).ratio(pick(c).at[w])
			if ratio > 0 {
				values[p] = append(values[p], math.Log(ratio))
			}
		}
	}
	middle := map[pair]float64{}
	for p, v := range values {
		middle[p] = stat.Median(v)
	}
	return polish(middle)
}
