package finding

import "math"

// fisher is the chance that the first row has at least as many of the first column
// as it has, if rows and columns had nothing to do with each other (Fisher's exact
// test, one-sided): a and b of one group are bad and good, c and d of the rest.
func fisher(a, b, c, d int) float64 {
	row, column, all := a+b, a+c, a+b+c+d
	p := 0.0
	for k := a; k <= min(row, column); k++ {
		if column-k <= c+d {
			p += math.Exp(logChoose(row, k) + logChoose(all-row, column-k) - logChoose(all, column))
		}
	}
	return min(p, 1)
}

func logChoose(n, k int) float64 {
	return logFactorial(n) - logFactorial(k) - logFactorial(n-k)
}

func logFactorial(n int) float64 {
	v, _ := math.Lgamma(float64(n) + 1)
	return v
}
