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
	not, none := a.Unjudged()
	all, missing := int64(len(a.Checks)), int64(len(not))
	switch {
	case none:
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
	if _, none := a.Unjudged(); !none || len(a.Checks) == 0 {
		return nil
	}
	return []string{"no kind of fault could be judged"}
}

// Unjudged gives the kinds of fault of which no subject could be judged though there
// may have been some; none says that there was no subject of any kind.
func (a *Analysis) Unjudged() (kinds []string, none bool) {
	none = true
	for _, c := range a.Checks {
		none = none && c.Judged+c.Rejected == 0
		if c.Unjudged() {
			kinds = append(kinds, string(c.Kind))
		}
	}
	return kinds, none
}
