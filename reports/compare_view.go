package reports

import (
	"strconv"
	"strings"

	"kmon/analyze/compare"
)

type change = compare.Change

// sideName names a side by its files.
func sideName(s *compare.Side) string {
	if len(s.Runs) == 0 {
		return absent
	}
	names := []string{}
	for i := range s.Runs {
		if i == 3 {
			names = append(names, "…")
			break
		}
		names = append(names, runName(&s.Runs[i]))
	}
	text := strings.Join(names, ", ")
	if n := len(s.Runs); n > 1 {
		text = strconv.Itoa(n) + " runs (" + text + ")"
	}
	return text
}

// runName is what the user called a run, or its first file.
func runName(r *compare.RunInfo) string {
	if r.Name != "" {
		return visible(r.Name)
	}
	if len(r.Files) == 0 {
		return absent
	}
	name := nameText(r.Files[0])
	if n := len(r.Files); n > 1 {
		name += " and " + strconv.Itoa(n-1) + plural(n-1, " more file")
	}
	return name
}

// sidesText says which side is which.
func sidesText(c *compare.Result) string {
	return "BASE is " + sideName(&c.Base) + "; NEW is " + sideName(&c.New) + "."
}

// comparisonVerdict is the verdict, never empty, without the outcome that
// stands before it.
func comparisonVerdict(c *compare.Result) string {
	verdict := strings.TrimSpace(strings.TrimPrefix(c.Verdict, outcomeWord(c.Outcome)+":"))
	if verdict == "" {
		return outcomeWord(c.Outcome) + "."
	}
	return visible(verdict)
}

// outcomeWord is an outcome for people.
func outcomeWord(o compare.Outcome) string {
	switch o {
	case compare.Regression:
		return "Regression"
	case compare.Improvement:
		return "Improvement"
	case compare.Changed:
		return "Changed"
	case compare.NoChange:
		return "No change"
	case compare.Inconclusive:
		return "Inconclusive"
	}
	return nameText(string(o))
}

// failedThresholds counts those that failed, and those that could not be
// judged.
func failedThresholds(c *compare.Result) (failed, undecided int) {
	for i := range c.Thresholds {
		switch c.Thresholds[i].Outcome {
		case compare.Failed:
			failed++
		case compare.Undecided:
			undecided++
		}
	}
	return failed, undecided
}

// comparisonState is the word before the verdict, and how loud it is: that of
// the exit code.
func comparisonState(c *compare.Result) (string, tone) {
	failed, undecided := failedThresholds(c)
	switch {
	case c.Outcome == compare.Regression:
		return outcomeWord(c.Outcome), toneBad
	case failed > 0:
		return "Threshold exceeded", toneBad
	case undecided == 0 && (c.Outcome == compare.NoChange || c.Outcome == compare.Improvement):
		return outcomeWord(c.Outcome), toneNone
	}
	return outcomeWord(compare.Inconclusive), toneWarn
}

// loadText is what to know of the load, and how loud it is.
func loadText(c *compare.Result) (string, tone) {
	text := visible(c.Load.Text)
	switch {
	case c.Load.BaseRatePerS == nil || c.Load.NewRatePerS == nil:
		if text == "" {
			text = "Load: no requests were recorded on both sides."
		}
		return text, toneNone
	case !c.Load.Same:
		if text == "" {
			text = "Load: NEW was asked for " + rateText(*c.Load.NewRatePerS) + ", BASE for " + rateText(*c.Load.BaseRatePerS) + "."
		}
		return text, toneWarn
	case text == "":
		text = "Load: about the same, " + rateText(*c.Load.BaseRatePerS) + "."
	}
	return text, toneNone
}

// countsText counts what was compared by what it came to.
func countsText(c *compare.Result) string {
	n := c.Counts
	parts := []string{}
	for _, p := range []struct {
		n    int
		one  string
		many string
	}{
		{n.Regressions, "regression", "regressions"}, {n.Improvements, "improvement", "improvements"},
		{n.Changed, "changed otherwise", "changed otherwise"}, {n.Inconclusive, "inconclusive", "inconclusive"},
		{n.NoChange, "without change", "without change"},
	} {
		words := p.many
		if p.n == 1 {
			words = p.one
		}
		parts = append(parts, CountText(int64(p.n))+" "+words)
	}
	return strings.Join(parts, ", ") + "."
}

// settingsText says how it was compared, in a line.
func settingsText(c *compare.Result) string {
	s := &c.Settings
	unit := "windows"
	if s.WindowNs > 0 {
		unit += " of " + DurationText(s.WindowNs)
	}
	if s.Unit == "run" {
		unit = "runs (" + strconv.Itoa(len(c.Base.Runs)) + " of BASE, " + strconv.Itoa(len(c.New.Runs)) + " of NEW)"
	} else if c.Base.Windows > 0 || c.New.Windows > 0 {
		unit += " (" + strconv.Itoa(c.Base.Windows) + " of BASE, " + strconv.Itoa(c.New.Windows) + " of NEW)"
	}
	text := "Compared over " + unit + "; a change counts from " + shareText(s.MinEffect) + " on, at a false discovery rate of " + shareText(s.Alpha) + "."
	if len(s.Services) > 0 {
		text += " Only: " + visible(strings.Join(s.Services, ", ")) + "."
	}
	return text
}

// noiseText says what identical runs differ by.
func noiseText(c *compare.Result) string {
	switch {
	case c.Noise == nil && c.Settings.Unit == "run":
		return "Noise: what the runs of each side differ by among themselves."
	case c.Noise == nil:
		return "Noise: assumed (--noise-from measures it)."
	}
	n := c.Noise
	return "Noise: measured with " + strconv.Itoa(len(n.Runs)) + plural(len(n.Runs), " run") + " of an unchanged system; of their " +
		strconv.Itoa(n.Pairs) + plural(n.Pairs, " pair") + ", " + strconv.Itoa(n.FalseAlarms) + " would have been called different without knowing the noise."
}

// withOutcome gives the changes of an outcome, in their order.
func withOutcome(c *compare.Result, o compare.Outcome) []change {
	list := []change{}
	for i := range c.Changes {
		if c.Changes[i].Outcome == o {
			list = append(list, c.Changes[i])
		}
	}
	return list
}

// decisive parts the inconclusive changes into those on which the outcome rests
// and the others.
func decisive(c *compare.Result) (rests, others []change) {
	rests, others = []change{}, []change{}
	for _, x := range withOutcome(c, compare.Inconclusive) {
		if x.Decisive {
			rests = append(rests, x)
		} else {
			others = append(others, x)
		}
	}
	return rests, others
}

// comparisonNotes is what to know before trusting the numbers: why nothing can
// be said, then the warnings.
func comparisonNotes(c *compare.Result) []string {
	told := map[string]bool{}
	rests, _ := decisive(c)
	for i := range rests { // each has a row that says so
		told[rests[i].Title+" of "+rests[i].Subject.Name+": "+rests[i].Reason] = true
	}
	list := []string{}
	for _, texts := range [][]string{c.Reasons, c.Warnings} {
		for _, t := range texts {
			if !told[t] && !strings.Contains(c.Verdict, t) {
				list = append(list, visible(t))
			}
		}
	}
	return list
}

// comparisonDefinitions is the "how to read" section.
func comparisonDefinitions(c *compare.Result) []definition {
	confidence := shareText(1 - c.Settings.Alpha)
	return []definition{
		{"BASE, NEW", "What is compared with, and what is judged. A change is that from BASE to NEW, as a share of BASE."},
		{"Regression, improvement", "A change for the worse or the better that is unlikely to be chance, large enough to count, and more than identical runs differ by."},
		{"Inconclusive", "Nobody can say: too few windows or runs, too much loss or noise, or not recorded. It is never “no change”."},
		{"No change", "A change of the least size that counts would have been seen, and was not."},
		{confidence + " interval", "Holds the true change in so many of such comparisons."},
		{"p", "How likely chance alone gives such a difference, corrected for the number of comparisons."},
		{"Counts from", "The least relative change that counts here: the largest of what was asked for, of twice the noise, and of what the metric's least step is."},
		{"Would have shown", "The smallest change that this much data would have shown four times of five."},
		{"Runs agreeing", "Of all pairs of a run of BASE and one of NEW, those that changed in the same direction."},
		{"Per request", "Divided by the requests that the service served, or that were asked over the edge."},
		{absent, "Not measured, or nothing to measure. It never means 0."},
	}
}
