package reports

import (
	"math"
	"time"
)

// niceSteps are the digits of round numbers.
var niceSteps = []float64{1, 2, 5, 10}

// roundUp is the smallest of 1, 2, 5 × a power of ten that is at least x > 0.
func roundUp(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range niceSteps {
		if step*power >= x*(1-1e-9) {
			return step * power
		}
	}
	return 10 * power
}

// roundDown is the largest of 1, 2, 5 × a power of ten that is at most x > 0.
func roundDown(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)+1e-12))
	for i := len(niceSteps) - 1; i >= 0; i-- {
		if niceSteps[i]*power <= x*(1+1e-9) {
			return niceSteps[i] * power
		}
	}
	return power
}

// logTicks are the round numbers from low to high: 1, 2, 5 in each power of
// ten when they are few, else the powers of ten, else some of them.
func logTicks(low, high float64) []float64 {
	fine, coarse := []float64{}, []float64{}
	for power := math.Floor(math.Log10(low) + 1e-9); power <= math.Log10(high)+1e-9; power++ {
		for _, step := range niceSteps[:3] {
			x := step * math.Pow(10, power)
			if x < low*(1-1e-9) || x > high*(1+1e-9) {
				continue
			}
			fine = append(fine, x)
			if step == 1 {
				coarse = append(coarse, x)
			}
		}
	}
	if len(fine) <= 6 {
		return fine
	}
	ticks := []float64{}
	every := 1 + (len(coarse)-1)/5
	for i := 0; i < len(coarse); i += every {
		ticks = append(ticks, coarse[i])
	}
	return ticks
}

// timeSteps are the distances a time axis may tick at.
var timeSteps = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// timeTicks are at most limit round times from start to end, Unix ns, which may
// be any: a capture states them.
func timeTicks(start, end int64, limit int) []int64 {
	ticks := []int64{}
	if end < start || limit < 2 {
		return ticks
	}
	span := uint64(end) - uint64(start)
	step := uint64(timeSteps[len(timeSteps)-1])
	for _, s := range timeSteps {
		if span/uint64(s) < uint64(limit) {
			step = uint64(s)
			break
		}
	}
	for span/step >= uint64(limit) {
		step *= 2
	}
	first := start / int64(step) * int64(step)
	if first < start {
		first += int64(step)
	}
	for t := first; t >= start && t <= end; t += int64(step) { // below start: there is no such time
		ticks = append(ticks, t)
		if uint64(end)-uint64(t) < step {
			break
		}
	}
	return ticks
}
