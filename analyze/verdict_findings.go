package analyze

import (
	"fmt"
	"strings"

	"kmon/analyze/finding"
)

// found says what is wrong first. That nothing was found is said with how much
// could be judged: it is no health.
func found(a *Analysis) []string {
	worst, alarms := -1, int64(0)
	for i := range a.Findings {
		if a.Findings[i].Severity == finding.Info {
			continue
		}
		alarms++
		if worst < 0 {
			worst = i
		}
	}
	if worst >= 0 {
		f := &a.Findings[worst]
		list := []string{fmt.Sprintf("%s (%s)", strings.TrimRight(f.Title, ". "), f.Severity)}
		if more := alarms - 1; more > 0 {
			list = append(list, number(more)+" more "+plural(more, "finding", "findings"))
		}
		return list
	}
	list := judged(a)
	if len(a.Findings) > 0 {
		list = append(list, "noted: "+strings.TrimRight(a.Findings[0].Title, ". "))
	}
	return list
}

// unjudgedNamed is how many kinds that could not be judged the verdict names.
const unjudgedNamed = 3

// judged says that no fault was found, and among how many kinds.
func judged(a *Analysis) []string {
	if len(a.Checks) == 0 {
		return nil
	}
	var not []string
	subjects := 0
	for _, c := range a.Checks {
		subjects += c.Judged + c.Rejected
		if c.Unjudged() {
			not = append(not, string(c.Kind))
		}
	}
	all, missing := int64(len(a.Checks)), int64(len(not))
	switch {
	case subjects == 0:
		return nil // which is said last, see unjudged
	case missing == 0:
		return []string{"no fault was found in " + number(all) + plural(all, " kind", " kinds") + " that " + plural(all, "was", "were") + " judged"}
	}
	if missing > unjudgedNamed {
		not = append(not[:unjudgedNamed], number(missing-unjudgedNamed)+" more")
	}
	return []string{fmt.Sprintf("no fault was found; %s of %s kinds could be judged, not %s",
		number(all-missing), number(all), strings.Join(not, ", "))}
}

// unjudged says that nothing could be judged, as in a recording of a moment.
func unjudged(a *Analysis) []string {
	for _, c := range a.Checks {
		if c.Judged+c.Rejected > 0 {
			return nil
		}
	}
	if len(a.Checks) == 0 {
		return nil
	}
	return []string{"no kind of fault could be judged"}
}
