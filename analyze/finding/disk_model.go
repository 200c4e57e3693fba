package finding

import "math"

// model is the latency that a disk had at a throughput, from windows that are
// taken for healthy (after Perseus, FAST 2023): y = ln latency, relative to a
// class's usual one, x = ln(1 + MB/s),
//
//	y = β0 + β1 (x − x̄) + β2 (x − x̄)²
//
// by least squares, once more without residuals beyond 3.5 robust deviations. Few
// points, or points that hardly differ in x, have fewer β.
type model struct {
	beta     []float64
	inverse  [][]float64 // (XᵀX)⁻¹
	mean     float64     // x̄
	low, top float64     // of x
	s        float64     // standard deviation of the residuals
	n        int         // points
	source   string
	// Of the windows it is made of, medians.
	rate, depth, busy float64
}

const (
	// leastSpread of residuals: what hardly differs makes all else look strange.
	leastSpread = 0.05
	// outlier is the robust z beyond which a point is left out.
	outlier = 3.5
	// curvedPoints and slopedPoints are how many points a second and a first
	// degree take, minRange how far they must lie apart in x.
	curvedPoints, slopedPoints = 15, 8
	minRange                   = 0.4
	// beyond is how far over top a throughput may lie, to be judged as at top. A
	// fit says nothing of what lies outside its points.
	beyond = 0.22
)

// fit makes a model of points; nil of too few.
func fit(x, y []float64, least int) *model {
	m := fitOnce(x, y, least)
	if m == nil {
		return nil
	}
	residuals := make([]float64, len(x))
	for i := range x {
		at, _ := m.at(x[i])
		residuals[i] = y[i] - at
	}
	r := referenceOf("", residuals)
	mad := max(r.MAD, leastSpread)
	var keptX, keptY []float64
	for i := range x {
		if 0.6745*math.Abs(residuals[i]-r.Median)/mad <= outlier {
			keptX, keptY = append(keptX, x[i]), append(keptY, y[i])
		}
	}
	return fitOnce(keptX, keptY, least)
}

func fitOnce(x, y []float64, least int) *model {
	n := len(x)
	if n < max(least, 2) {
		return nil
	}
	m := &model{n: n, low: math.Inf(1), top: math.Inf(-1)}
	for _, v := range x {
		m.low, m.top, m.mean = min(m.low, v), max(m.top, v), m.mean+v/float64(n)
	}
	terms := 1
	if m.top-m.low >= minRange && n >= slopedPoints {
		terms = 2
		if n >= curvedPoints {
			terms = 3
		}
	}
	for ; terms > 0; terms-- {
		if m.solve(x, y, terms) {
			return m
		}
	}
	return nil
}

// solve sets the β; false when the points do not determine so many.
func (m *model) solve(x, y []float64, terms int) bool {
	xx, xy := make([][]float64, terms), make([]float64, terms)
	for i := range xx {
		xx[i] = make([]float64, terms)
	}
	for k := range x {
		row := m.row(x[k], terms)
		for i := range terms {
			xy[i] += row[i] * y[k]
			for j := range terms {
				xx[i][j] += row[i] * row[j]
			}
		}
	}
	inverse, ok := invert(xx)
	if !ok {
		return false
	}
	m.inverse, m.beta = inverse, make([]float64, terms)
	for i := range terms {
		for j := range terms {
			m.beta[i] += inverse[i][j] * xy[j]
		}
	}
	sum := 0.0
	for k := range x {
		d := y[k] - dot(m.beta, m.row(x[k], terms))
		sum += d * d
	}
	m.s = max(math.Sqrt(sum/float64(max(m.n-terms, 1))), leastSpread)
	return true
}

func (m *model) row(x float64, terms int) []float64 {
	d := x - m.mean
	return []float64{1, d, d * d}[:terms]
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// at gives what is expected at x, and the bound below which 99.9% of healthy
// windows lie: ŷ + t s √(1 + xᵀ(XᵀX)⁻¹x). Below the lowest x, a disk with less to do
// is not slower: that of the lowest counts.
func (m *model) at(x float64) (expected, upper float64) {
	row := m.row(min(max(x, m.low), m.top), len(m.beta))
	expected = dot(m.beta, row)
	leverage := 0.0
	for i := range row {
		leverage += row[i] * dot(m.inverse[i], row)
	}
	return expected, expected + studentT999(m.n-len(m.beta))*m.s*math.Sqrt(1+leverage)
}

// covers says whether the model has a say at x.
func (m *model) covers(x float64) bool { return x <= m.top+beyond }

// studentT999 is the 0.999 quantile of Student's t with n degrees of freedom:
// Cornish and Fisher's expansion, within 3% from n = 5 on and too low below, where 12
// is taken.
func studentT999(n int) float64 {
	if n < 5 {
		return 12
	}
	const z = 3.0902
	v := float64(n)
	g1 := (math.Pow(z, 3) + z) / 4
	g2 := (5*math.Pow(z, 5) + 16*math.Pow(z, 3) + 3*z) / 96
	g3 := (3*math.Pow(z, 7) + 19*math.Pow(z, 5) + 17*math.Pow(z, 3) - 15*z) / 384
	return z + g1/v + g2/(v*v) + g3/(v*v*v)
}

// invert gives the inverse of a small symmetric matrix, by Gauss and Jordan; false
// when it is singular.
func invert(a [][]float64) ([][]float64, bool) {
	n := len(a)
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, n)
		out[i][i] = 1
	}
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		a[c], a[pivot], out[c], out[pivot] = a[pivot], a[c], out[pivot], out[c]
		p := a[c][c]
		if math.Abs(p) < 1e-9 {
			return nil, false
		}
		for k := range n {
			a[c][k], out[c][k] = a[c][k]/p, out[c][k]/p
		}
		for r := range n {
			if f := a[r][c]; r != c && f != 0 {
				for k := range n {
					a[r][k], out[r][k] = a[r][k]-f*a[c][k], out[r][k]-f*out[c][k]
				}
			}
		}
	}
	return out, true
}
