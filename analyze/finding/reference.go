package finding

import (
	"math"
	"slices"

	"kmon/analyze/stat"
)

// Reference is what a value is compared with.
type Reference struct {
	Median, MAD float64
	N           int    // values it is made of; 0: there is none
	Source      string // "baseline capture", "peers", "its own quiet windows"
}

// Sources of a Reference, the best first.
const (
	FromBaseline = "baseline capture"
	FromPeers    = "peers"
	FromQuiet    = "its own quiet windows"
)

// referenceOf summarizes values. NaN stands for a window without a value.
func referenceOf(source string, values []float64) Reference {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(known) == 0 {
		return Reference{}
	}
	m := stat.Median(known)
	deviations := make([]float64, len(known))
	for i, v := range known {
		deviations[i] = math.Abs(v - m)
	}
	return Reference{Median: m, MAD: stat.Median(deviations), N: len(known), Source: source}
}

// leastMAD is the least deviation that z counts with, as a share of the median:
// values that hardly differ make every other value look strange.
const leastMAD = 0.05

// z is the robust distance of a value from the reference, in the units of a
// standard deviation (Iglewicz and Hoaglin, 1993: 0.6745 (x − median) / MAD).
func (r Reference) z(v float64) float64 {
	mad := max(r.MAD, leastMAD*math.Abs(r.Median))
	if mad == 0 {
		return 0
	}
	return 0.6745 * (v - r.Median) / mad
}

// ratio is a value in units of the reference's median; NaN without one.
func (r Reference) ratio(v float64) float64 {
	if r.N == 0 || r.Median <= 0 {
		return math.NaN()
	}
	return v / r.Median
}

// quietOf summarizes the windows in which a series was low: those up to
// quiet_spread times the median of its lowest third. A series that hardly moves is
// quiet throughout. At least min_reference windows are needed.
func (s *search) quietOf(v series) Reference {
	known := v.known()
	least := int(s.rules.of(common, "min_reference"))
	if len(known) < least {
		return Reference{}
	}
	slices.Sort(known)
	low := stat.Median(slices.Clone(known[:max(least, len(known)/3)]))
	end := slices.IndexFunc(known, func(x float64) bool { return x > low*s.rules.of(common, "quiet_spread") })
	if end < 0 {
		end = len(known)
	}
	return referenceOf(FromQuiet, known[:max(end, least)])
}

// span is windows first to last, of which held did.
type span struct{ first, last, held int }

// longest gives the longest run of windows that hold. A single one that does not
// hold, or has no say, is passed over as long as four of any five do hold, but
// neither at the beginning nor at the end; ok is false below least.
func longest(hold []bool, least int) (best span, ok bool) {
	for first := range hold {
		if !hold[first] || first > 0 && hold[first-1] {
			continue // the run from the window before reaches as far
		}
		run := span{first, first, 1}
		for i := first + 1; i < len(hold); i++ {
			if hold[i] {
				run.last, run.held = i, run.held+1
			} else if i+1 >= len(hold) || !hold[i+1] || misses(hold[max(first, i-4):i+1]) > 1 {
				break
			}
		}
		if run.held > best.held {
			best = run
		}
	}
	return best, best.held >= least
}

func misses(hold []bool) int {
	n := 0
	for _, h := range hold {
		if !h {
			n++
		}
	}
	return n
}
