package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// conclude finds the outcome of the whole, its reasons and the verdict.
func (r *Result) conclude(list []tested) {
	r.Reasons = append([]string{}, r.limits(list)...)
	switch {
	case r.Counts.Regressions > 0:
		r.Outcome, r.Verdict = Regression, "Regression: "+changesText(list, Regression)+"."
	case len(r.Reasons) > 0:
		r.Outcome, r.Verdict = Inconclusive, "Inconclusive: "+r.Reasons[0]+"."
		if r.Counts.Improvements > 0 {
			r.Verdict += " Better is " + changesText(list, Improvement) + "."
		} else if n := len(r.Reasons) - 1; n > 0 {
			r.Verdict += fmt.Sprintf(" No regression was seen; %s.", counted(n, "more reason"))
		}
	case r.Counts.Improvements > 0:
		r.Outcome, r.Verdict = Improvement, "Improvement: "+changesText(list, Improvement)+"; nothing is worse."
	default:
		r.Outcome, r.Verdict = NoChange, "No change: "+decisiveText(list)+"."
	}
}

// limits gives why it can't be said that nothing is worse, the gravest first.
func (r *Result) limits(list []tested) []string {
	var reasons []string
	for _, side := range []struct {
		name string
		*Side
	}{{"base", &r.Base}, {"new", &r.New}} {
		if side.Damaged {
			reasons = append(reasons, side.name+" is damaged: "+firstProblem(side.Runs))
		}
		if side.Lossy {
			reasons = append(reasons, fmt.Sprintf("of %s too much was lost: less than %s of the requests were recorded in some windows", side.name, percent(minCoverage)))
		}
	}
	if both := r.inBoth(); both != "" {
		reasons = append(reasons, both+" is in base and in new, or a copy of it: what is compared with itself shows nothing")
	}
	if r.Load.BaseRatePerS == nil || r.Load.NewRatePerS == nil {
		reasons = append(reasons, strings.TrimSuffix(strings.TrimPrefix(r.Load.Text, loadUnknown), "."))
	}
	if base, new := nodes(r.Base.Runs), nodes(r.New.Runs); base != new {
		reasons = append(reasons, fmt.Sprintf("base was recorded on %s, new on %s", counted(base, "node"), counted(new, "node")))
	}
	if gone := services(r.Gone); gone != "" {
		reasons = append(reasons, "new lacks "+gone)
	}
	var undecided []*tested
	decisive := 0
	for i := range list {
		if list[i].Decisive {
			decisive++
			if list[i].Outcome == Inconclusive {
				undecided = append(undecided, &list[i])
			}
		}
	}
	if r.Load.Relative != nil && !r.Load.Same {
		reasons = append(reasons, fmt.Sprintf("the load is not the same (%s requests entering)", signed(*r.Load.Relative)))
	}
	for _, t := range undecided {
		reasons = append(reasons, fmt.Sprintf("%s of %s: %s", t.Title, t.Subject.Name, t.Reason))
	}
	if decisive == 0 && len(reasons) == 0 {
		reasons = append(reasons, "nothing that was asked from outside could be compared")
	}
	return reasons
}

// inBoth names a capture that both sides hold; "": there is none.
func (r *Result) inBoth() string {
	for _, b := range r.Base.Runs {
		for _, n := range r.New.Runs {
			for i, hash := range n.SHA256 {
				if slices.Contains(b.SHA256, hash) {
					return n.Files[i]
				}
			}
		}
	}
	return ""
}

// nodes gives on how many nodes the runs were recorded, of the run with the fewest.
func nodes(runs []RunInfo) int {
	least := math.MaxInt
	for _, r := range runs {
		hosts := slices.Sorted(slices.Values(r.Hosts))
		least = min(least, len(slices.Compact(hosts)))
	}
	return least
}

func firstProblem(runs []RunInfo) string {
	for _, r := range runs {
		if len(r.Problems) > 0 {
			return strings.TrimSuffix(r.Problems[0], ".")
		}
	}
	return "see its problems"
}

// maxTold is how many changes the verdict tells.
const maxTold = 3

// changesText tells of the changes of an outcome: of each subject the largest, those
// whose callees have none first, for there it comes from.
func changesText(list []tested, outcome Outcome) string {
	var told []*tested
	known := map[key]bool{}
	for i := range list {
		if t := &list[i]; t.Outcome == outcome && !known[t.key] {
			known[t.key] = true
			told = append(told, t)
		}
	}
	calls := func(t *tested) int { // 0: a service that asks nobody who changed too
		if t.key.service == "" {
			return 2
		}
		for k := range known {
			if k.client == t.key.service && k.server != t.key.service {
				return 1
			}
		}
		return 0
	}
	slices.SortStableFunc(told, func(a, b *tested) int { return cmp.Compare(calls(a), calls(b)) })
	var parts []string
	for _, t := range told[:min(len(told), maxTold)] {
		parts = append(parts, t.text())
	}
	text := strings.Join(parts, "; ")
	if more := len(told) - len(parts); more > 0 {
		text += fmt.Sprintf("; and something of %d more", more)
	}
	return text
}

// toldCommon is how much of a change must be in all services to be told.
const toldCommon = 0.01

// text tells of a change in words.
func (t *tested) text() string {
	values := fmt.Sprintf("from %s to %s", quantityText(t.Base.Value, t.Unit), quantityText(t.New.Value, t.Unit))
	if t.Relative == nil {
		return fmt.Sprintf("%s of %s %s", t.Title, t.Subject.Name, values)
	}
	if t.Common != nil && math.Abs(*t.Common) >= toldCommon {
		values += fmt.Sprintf(", of which %s is in the other services, too", signed(*t.Common))
	}
	return fmt.Sprintf("%s of %s %s (%s; %s to %s)", t.Title, t.Subject.Name, signed(*t.Relative), values, signed(t.Interval.Low), signed(t.Interval.High))
}

// decisiveText says within what bounds nothing changed.
func decisiveText(list []tested) string {
	reach := 0.0
	names := map[string]bool{}
	var subjects []string
	for i := range list {
		t := &list[i]
		if !t.Decisive {
			continue
		}
		if t.Detectable != nil {
			reach = math.Max(reach, *t.Detectable)
		}
		if !names[t.Subject.Name] {
			names[t.Subject.Name] = true
			subjects = append(subjects, t.Subject.Name)
		}
	}
	slices.Sort(subjects)
	more := ""
	if len(subjects) > maxTold {
		more = fmt.Sprintf(" and %d more", len(subjects)-maxTold)
		subjects = subjects[:maxTold]
	}
	return fmt.Sprintf("%s%s answer as before; a change of %s would have been seen", strings.Join(subjects, ", "), more, percent(reach))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// quantityText writes a value for a sentence.
func quantityText(v float64, unit string) string {
	switch unit {
	case "ns":
		return durationText(v)
	case "ratio":
		return fmt.Sprintf("%.3g%%", 100*v)
	case "bytes":
		return fmt.Sprintf("%.4g B", v)
	case "per_s":
		return fmt.Sprintf("%.4g/s", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// durationText writes nanoseconds with three digits.
func durationText(ns float64) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if ns >= float64(u.unit) {
			return fmt.Sprintf("%.3g %s", ns/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", ns)
}
