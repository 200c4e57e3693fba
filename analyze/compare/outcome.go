package compare

import (
	"fmt"
	"math"
)

// conclude finds the outcome of a change.
func (c *comparison) conclude(t *tested) {
	switch {
	case t.Reason != "":
		t.Outcome = Inconclusive
	case c.isChange(t):
		t.Outcome, t.Reason = c.direction(t)
	case t.Common != nil && math.Abs(*t.Common) >= t.tolerable:
		t.Outcome, t.Reason = Inconclusive, fmt.Sprintf("the other services changed as well (%s): the node, or something that they share", signed(*t.Common))
	case !t.estimate.known:
		t.Outcome, t.Reason = t.ofNothing()
	case t.rule.quantile > 0 && !c.load.Same:
		t.Outcome, t.Reason = Inconclusive, "the load is not the same, which may hide a change"
	case t.Interval.Low > -t.tolerable && t.Interval.High < t.tolerable && *t.Detectable <= t.tolerable:
		t.Outcome = NoChange
	default:
		t.Outcome, t.Reason = Inconclusive, t.tooNoisy()
	}
}

// isChange says whether a change is one: more than noise, and large enough.
func (c *comparison) isChange(t *tested) bool {
	if t.Adjusted == nil || *t.Adjusted >= c.Alpha || math.Abs(*t.Delta) < minDelta {
		return false
	}
	if t.Pairs > 0 && float64(t.Agreeing) < minAgreement*float64(t.Pairs) {
		return false
	}
	if !t.estimate.known { // a side has none at all
		return math.Abs(*t.Absolute) >= t.rule.least
	}
	return math.Abs(*t.Relative) >= t.MinEffect
}

// direction says what a change means.
func (c *comparison) direction(t *tested) (Outcome, string) {
	worse := *t.Absolute > 0
	if !t.rule.gate {
		return Changed, ""
	}
	if t.held != nil && t.raw*t.estimate.log < 0 {
		return Inconclusive, fmt.Sprintf("it differs from the other services only in that it did not change with them (%s)", signed(*t.Common))
	}
	if t.rule.quantile > 0 && !c.load.Same {
		more := c.load.Relative != nil && *c.load.Relative > 0
		if c.load.Relative == nil || worse == more {
			return Inconclusive, "it differs, but so does the load, which may be why"
		}
	}
	if worse {
		return Regression, ""
	}
	return Improvement, ""
}

// ofNothing judges what has no ratio: one side has none at all.
func (t *tested) ofNothing() (Outcome, string) {
	fewest := math.Min(float64(t.Base.Requests), float64(t.New.Requests))
	// Of none in n, three standard deviations of how many there may be are 3.7 in n.
	const seen, tolerable = 3.7, 0.01
	if *t.Absolute == 0 && seen/fewest <= tolerable {
		return NoChange, ""
	}
	if *t.Absolute == 0 {
		return Inconclusive, fmt.Sprintf("none among %d requests, which may still be %.1f%%", int64(fewest), 100*seen/fewest)
	}
	return Inconclusive, "too few to tell them from chance"
}

// tooNoisy says why nothing can be said of a change that is none.
func (t *tested) tooNoisy() string {
	if *t.Detectable > t.tolerable {
		why := "the windows vary too much"
		if t.Pairs > 0 {
			why = "the runs vary too much"
		} else if t.NoiseSpread != nil && 2.8**t.NoiseSpread > t.tolerable {
			why = "single recordings differ by more"
		}
		return fmt.Sprintf("a change of less than %s could not have been seen: %s", percent(*t.Detectable), why)
	}
	return fmt.Sprintf("it may be anything from %s to %s", signed(t.Interval.Low), signed(t.Interval.High))
}

// percent writes a share.
func percent(v float64) string {
	if v < 0.0995 {
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}

// signed writes a relative change.
func signed(v float64) string {
	if v < 0 {
		return "−" + percent(-v)
	}
	return "+" + percent(v)
}
