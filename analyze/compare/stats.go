package compare

import (
	"math"
	"slices"
)

// maxExact is up to how many values on both sides together the distribution of U is
// counted out.
const maxExact = 30

// mannWhitney gives U of a (how many pairs it is larger in, ties are half ones)
// and the two-sided p of Mann and Whitney's test: of up to maxExact values exactly,
// also with ties, of more by the normal distribution, corrected for ties and
// continuity.
func mannWhitney(a, b []float64) (u, p float64) {
	n, m := len(a), len(b)
	ranks, ties := doubledRanks(a, b)
	sum := 0
	for _, r := range ranks[:n] {
		sum += r
	}
	u = float64(sum)/2 - float64(n*(n+1))/2
	if n+m <= maxExact {
		return u, exactRankSum(ranks, n, sum)
	}
	total := float64(n + m)
	variance := float64(n) * float64(m) / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return u, 1
	}
	z := math.Max(math.Abs(u-float64(n)*float64(m)/2)-0.5, 0) / math.Sqrt(variance)
	return u, twoSided(z)
}

// doubledRanks gives twice the rank of each value of a and then b, of equal ones the
// mean, and the sum of t³ − t over the ties.
func doubledRanks(a, b []float64) (ranks []int, ties float64) {
	all := slices.Concat(a, b)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		switch {
		case all[x] < all[y]:
			return -1
		case all[x] > all[y]:
			return 1
		}
		return x - y
	})
	ranks = make([]int, len(all))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && all[order[j]] == all[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks[k] = i + 1 + j // (i+1 … j) on the mean, doubled
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return ranks, ties
}

// exactRankSum gives how likely n of the ranks, drawn without looking, have a sum at
// least as far from the middle as this.
func exactRankSum(ranks []int, n, sum int) float64 {
	most := 0
	for _, r := range ranks {
		most += r
	}
	ways := make([][]float64, n+1) // by how many were drawn, then by their sum
	for k := range ways {
		ways[k] = make([]float64, most+1)
	}
	ways[0][0] = 1
	reached := 0
	for i, r := range ranks {
		reached += r
		for k := min(i+1, n); k >= 1; k-- {
			for s := reached; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	middle := float64(n) * float64(most) / float64(len(ranks))
	far, all := 0.0, 0.0
	for s, w := range ways[n] {
		all += w
		if math.Abs(float64(s)-middle) >= math.Abs(float64(sum)-middle)-1e-9 {
			far += w
		}
	}
	return math.Min(far/all, 1)
}

// shift is the Hodges-Lehmann estimate of how far b lies above a: the median of all
// differences. The lists must be sorted.
func shift(a, b []float64) float64 {
	pairs := len(a) * len(b)
	low, high := b[0]-a[len(a)-1], b[len(b)-1]-a[0]
	at := func(rank int) float64 { // the rank-th smallest difference
		from, to := low, high
		for range 52 {
			middle := from + (to-from)/2
			if countBelow(a, b, middle) >= rank {
				to = middle
			} else {
				from = middle
			}
		}
		return to
	}
	if pairs%2 == 1 {
		return at(pairs/2 + 1)
	}
	return (at(pairs/2) + at(pairs/2+1)) / 2
}

// countBelow counts the differences b − a of at most d.
func countBelow(a, b []float64, d float64) int {
	n, j := 0, 0
	for i := range a {
		for j < len(b) && b[j]-a[i] <= d {
			j++
		}
		n += j
	}
	return n
}

// adjusted gives p values corrected for their number (Benjamini and Hochberg): of
// those that are at most alpha, alpha of them are chance on average at most.
func adjusted(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		switch {
		case p[x] < p[y]:
			return -1
		case p[x] > p[y]:
			return 1
		}
		return 0
	})
	list, least := make([]float64, len(p)), 1.0
	for rank := len(order); rank >= 1; rank-- {
		i := order[rank-1]
		least = math.Min(least, p[i]*float64(len(p))/float64(rank))
		list[i] = least
	}
	return list
}

// inflation is how much larger the variance of a mean is because each value
// resembles the one before it: (1 + r) / (1 − r), r being the correlation of
// neighbours, corrected for few values. The lists are in order of time, around their
// own means.
func inflation(lists ...[]float64) float64 {
	var products, squares float64
	n := 0
	for _, list := range lists {
		n += len(list)
		for i, v := range list {
			squares += v * v
			if i > 0 {
				products += v * list[i-1]
			}
		}
	}
	if squares == 0 || n < 4 {
		return 1
	}
	r := products / squares
	r += (1 + 3*r) / float64(n) // few values look less alike than they are
	r = math.Min(math.Max(r, 0), 0.8)
	return (1 + r) / (1 - r)
}

// centred gives the values less their mean.
func centred(list []float64) []float64 {
	out := slices.Clone(list)
	mean, _ := moments(list)
	for i := range out {
		out[i] -= mean
	}
	return out
}

// moments gives the mean and the variance (of a sample).
func moments(list []float64) (mean, variance float64) {
	for _, v := range list {
		mean += v
	}
	mean /= float64(len(list))
	for _, v := range list {
		variance += (v - mean) * (v - mean)
	}
	if len(list) > 1 {
		variance /= float64(len(list) - 1)
	}
	return mean, variance
}
