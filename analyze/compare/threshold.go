package compare

import (
	"fmt"
	"math"
)

// names says whether a threshold is about a metric of a subject.
func (t *Threshold) names(m Metric, k key) bool {
	if t.Metric != m {
		return false
	}
	switch {
	case t.Client != "" || t.Server != "":
		return k.service == "" && (t.Client == "" || t.Client == k.client) && (t.Server == "" || t.Server == k.server)
	case t.Service != "":
		return t.Service == k.service
	}
	return k.service != ""
}

// judge holds the changes against the thresholds.
func (c *comparison) judge(list []tested) []Judged {
	judged := []Judged{}
	for _, th := range c.Thresholds {
		j := Judged{Threshold: th, Outcome: Passed, Changes: []int{}}
		for i := range list {
			if !th.names(list[i].Metric, list[i].key) {
				continue
			}
			j.Changes = append(j.Changes, i)
			outcome, reason := th.judge(&list[i], c.Alpha)
			if worseThan(outcome, j.Outcome) || j.Reason == "" {
				j.Outcome, j.Reason = outcome, list[i].Subject.Name+": "+reason
			}
		}
		if len(j.Changes) == 0 {
			j.Outcome, j.Reason = Undecided, "both sides have nothing of that name and metric in common"
		}
		judged = append(judged, j)
	}
	return judged
}

// worseThan orders outcomes: failed, inconclusive, passed.
func worseThan(a, b JudgedOutcome) bool {
	rank := map[JudgedOutcome]int{Passed: 0, Undecided: 1, Failed: 2}
	return rank[a] > rank[b]
}

// judge judges one change.
func (t *Threshold) judge(ch *tested, alpha float64) (JudgedOutcome, string) {
	if ch.Reason != "" && (ch.Base == nil || ch.New == nil || ch.Adjusted == nil) {
		return Undecided, ch.Reason
	}
	if ch.New == nil || ch.Base == nil {
		return Undecided, "a side has no value"
	}
	if t.Kind == ValueLimit {
		if ch.New.Value > t.Limit {
			return Failed, fmt.Sprintf("%s is %s, of at most %s", ch.Title, quantityText(ch.New.Value, ch.Unit), quantityText(t.Limit, ch.Unit))
		}
		return Passed, fmt.Sprintf("%s is %s", ch.Title, quantityText(ch.New.Value, ch.Unit))
	}
	if !ch.estimate.known {
		return t.judgeNothing(ch, alpha)
	}
	limit, sign := t.Limit, 1.0
	if t.Kind == AbsoluteLimit {
		limit /= ch.Base.Value
	}
	if limit < 0 {
		limit, sign = -limit, -1
	}
	low, high := sign*ch.Interval.Low, sign*ch.Interval.High
	if sign < 0 {
		low, high = high, low
	}
	value := sign * *ch.Relative
	said := fmt.Sprintf("%s %s (%s to %s)", ch.Title, signed(*ch.Relative), signed(ch.Interval.Low), signed(ch.Interval.High))
	switch {
	case value >= limit && (ch.Adjusted != nil && *ch.Adjusted < alpha || low > 0 && ch.Adjusted == nil):
		return Failed, said
	case high < limit:
		return Passed, said
	case value >= limit:
		return Undecided, said + ": over the limit, but not more than noise"
	}
	return Undecided, said + ": it may be over the limit"
}

// judgeNothing judges a change of which a side has none at all.
func (t *Threshold) judgeNothing(ch *tested, alpha float64) (JudgedOutcome, string) {
	change := ch.New.Value - ch.Base.Value
	said := fmt.Sprintf("%s from %s to %s", ch.Title, quantityText(ch.Base.Value, ch.Unit), quantityText(ch.New.Value, ch.Unit))
	if change == 0 || math.Signbit(change) != math.Signbit(t.Limit) {
		if ch.Outcome == Inconclusive {
			return Undecided, ch.Reason
		}
		return Passed, said
	}
	if ch.Adjusted != nil && *ch.Adjusted < alpha && (t.Kind == RelativeLimit || math.Abs(change) >= math.Abs(t.Limit)) {
		return Failed, said
	}
	return Undecided, said + ": not more than noise"
}
