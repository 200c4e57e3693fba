package compare

import "math"

// twoSided gives the probability of a normal deviation of at least z, either way.
func twoSided(z float64) float64 { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// normalOf gives the deviation that has a two-sided p.
func normalOf(p float64) float64 { return math.Sqrt2 * math.Erfcinv(math.Min(math.Max(p, 1e-300), 1)) }

// studentTwoSided gives the probability that Student's t with df degrees of freedom
// is at least t away from 0; df may be infinite.
func studentTwoSided(t, df float64) float64 {
	if df > 1e4 {
		return twoSided(t)
	}
	return incompleteBeta(df/2, 0.5, df/(df+t*t))
}

// studentOf gives the t that has a two-sided p.
func studentOf(p, df float64) float64 {
	low, high := 0.0, 1.0
	for studentTwoSided(high, df) > p && high < 1e12 {
		high *= 2
	}
	for range 100 {
		middle := (low + high) / 2
		if studentTwoSided(middle, df) > p {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// incompleteBeta is the regularized incomplete beta function, by its continued
// fraction (Lentz).
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return math.Min(math.Max(x, 0), 1)
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log(1-x)) / a
	const tiny = 1e-300
	f, c, d := 1.0, 1.0, 0.0
	for i := range 500 {
		m := float64(i / 2)
		var numerator float64
		switch {
		case i == 0:
			numerator = 1
		case i%2 == 0:
			numerator = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			numerator = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		if d = 1 + numerator*d; math.Abs(d) < tiny {
			d = tiny
		}
		if c = 1 + numerator/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		f *= c * d
		if i > 0 && math.Abs(1-c*d) < 1e-14 {
			break
		}
	}
	return front * (f - 1)
}
