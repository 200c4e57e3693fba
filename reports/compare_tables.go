package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze/compare"
)

// inconclusiveID is the id of the table of what the outcome rests on and nobody
// can say.
const inconclusiveID = "inconclusive"

// judgedTables are the changes that somebody should look at, the worst first.
func judgedTables(c *compare.Result) []table {
	rests, _ := decisive(c)
	return []table{
		changesTable(c, "regressions", "Regressions: NEW is worse than BASE", withOutcome(c, compare.Regression)),
		changesTable(c, "improvements", "Improvements: NEW is better than BASE", withOutcome(c, compare.Improvement)),
		changesTable(c, "changed", "Changed: NEW differs from BASE, for neither better nor worse", withOutcome(c, compare.Changed)),
		openTable(inconclusiveID, "Inconclusive: NEW may be worse than BASE, and the outcome rests on it", rests),
	}
}

// changesTable lists changes that were judged.
func changesTable(c *compare.Result, id, title string, list []change) table {
	confidence := shareText(1 - c.Settings.Alpha)
	return build(id, title, list, append(changeSpecs(), []spec[change]{
		number(confidence+" interval", "of the change", 3, func(x *change) cell { return cell{Text: intervalText(x.Interval)} }),
		number("p", "corrected for the number of comparisons", 4, func(x *change) cell { return cell{Text: chanceText(x.Adjusted)} }),
		{column{Head: "Runs agreeing", Hint: "pairs of a run of BASE and one of NEW that changed in this direction", Kind: kindNumber, Rank: 6, Optional: true},
			func(x *change) cell { return cell{Text: agreeingText(x)} }},
		{column{Head: "In all services", Hint: "what the other services changed by as well, as far as this one goes with them: the node, left out of the change", Kind: kindNumber, Rank: 6, Optional: true},
			func(x *change) cell { return cell{Text: commonText(x)} }},
		number("Counts from", "the least change that counts here", 5, func(x *change) cell { return cell{Text: countsFrom(x)} }),
	}...))
}

// changeSpecs are the columns of every table of changes.
func changeSpecs() []spec[change] {
	return []spec[change]{
		{column{Head: "Service or edge", Kind: kindName}, func(x *change) cell { return named(x.Subject.Name) }},
		{column{Head: "Metric", Kind: kindText}, func(x *change) cell { return word(metricTitle(x)) }},
		number("BASE", "", 0, func(x *change) cell { return cell{Text: valueText(x.Unit, x.Base)} }),
		number("NEW", "", 0, func(x *change) cell { return cell{Text: valueText(x.Unit, x.New)} }),
		number("Change", "from BASE to NEW, of BASE", 0, changeCell),
	}
}

// metricTitle names a metric, and on whose end it was measured if not on the
// service's own.
func metricTitle(x *change) string {
	title := x.Title
	if title == "" {
		title = string(x.Metric)
	}
	if x.End == "client" {
		title += ", clients' end"
	}
	return title
}

// changeCell is a change with its sign.
func changeCell(x *change) cell {
	c := cell{Text: changeText(x)}
	if x.Outcome == compare.Regression {
		c.Tone = toneBad
	}
	return c
}

// agreeingText says how many pairs of runs agree.
func agreeingText(x *change) string {
	if x.Pairs == 0 {
		return absent
	}
	return strconv.Itoa(x.Agreeing) + " of " + strconv.Itoa(x.Pairs)
}

// commonText is what was left out of a change because all services show it.
func commonText(x *change) string {
	if x.Common == nil {
		return absent
	}
	return relativeText(*x.Common)
}

// countsFrom is the least change that counts, and whether noise makes it so.
func countsFrom(x *change) string {
	text := shareText(x.MinEffect)
	if x.NoiseSpread != nil && *x.NoiseSpread > 0 && 2**x.NoiseSpread >= x.MinEffect {
		text += " (noise)"
	}
	return text
}

// openTable lists changes that could not be judged, with why.
func openTable(id, title string, list []change) table {
	return build(id, title, list, append(changeSpecs(),
		number("Would have shown", "the smallest change that this much data would have shown", 3, func(x *change) cell { return cell{Text: sharePointer(x.Detectable)} }),
		spec[change]{column{Head: "Why", Kind: kindText}, func(x *change) cell { return word(x.Reason) }},
	))
}

// unjudged are changes that could not be judged, for reasons that are alike.
type unjudged struct {
	reason string
	list   []change
}

// what names the first and counts the others.
func (g *unjudged) what() string {
	x := &g.list[0]
	text := metricTitle(x) + " of " + visible(x.Subject.Name)
	if n := len(g.list) - 1; n > 0 {
		text += ", and " + CountText(int64(n)) + " more for a like reason"
	}
	return text
}

// withoutNumbers makes reasons that differ in their numbers the same.
func withoutNumbers(reason string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' {
			return -1
		}
		return r
	}, reason)
}

// unjudgedTable counts those on which the outcome does not rest, by reason.
func unjudgedTable(c *compare.Result) table {
	_, others := decisive(c)
	byReason := map[string]*unjudged{}
	groups := []*unjudged{}
	for _, x := range others {
		alike := withoutNumbers(x.Reason)
		g := byReason[alike]
		if g == nil {
			g = &unjudged{reason: x.Reason}
			byReason[alike] = g
			groups = append(groups, g)
		}
		g.list = append(g.list, x)
	}
	slices.SortStableFunc(groups, func(a, b *unjudged) int {
		return cmp.Or(cmp.Compare(len(b.list), len(a.list)), cmp.Compare(a.reason, b.reason))
	})
	t := build("unjudged", "Not judged between BASE and NEW, and the outcome does not rest on it", groups, []spec[*unjudged]{
		{column{Head: "What", Kind: kindText}, func(g **unjudged) cell { return word((*g).what()) }},
		{column{Head: "Why", Kind: kindText}, func(g **unjudged) cell { return word((*g).reason) }},
	})
	return t
}

// unchangedTable lists what did not change.
func unchangedTable(c *compare.Result) table {
	return build("unchanged", "No change from BASE to NEW", withOutcome(c, compare.NoChange), append(changeSpecs(),
		number("Would have shown", "the smallest change that this much data would have shown", 3, func(x *change) cell { return cell{Text: sharePointer(x.Detectable)} }),
		number("Counts from", "the least change that counts here", 5, func(x *change) cell { return cell{Text: countsFrom(x)} }),
	))
}

// thresholdsTable lists what was asked for and what came of it.
func thresholdsTable(c *compare.Result) table {
	return build("thresholds", "Thresholds of the change from BASE to NEW", c.Thresholds, []spec[compare.Judged]{
		{column{Head: "Threshold", Kind: kindName}, func(j *compare.Judged) cell { return named(j.Text) }},
		{column{Head: "Outcome"}, judgedCell},
		{column{Head: "What was seen", Kind: kindText}, func(j *compare.Judged) cell { return word(j.Reason) }},
	})
}

// judgedCell is the outcome of a threshold.
func judgedCell(j *compare.Judged) cell {
	c := word(string(j.Outcome))
	switch j.Outcome {
	case compare.Failed:
		c.Tone = toneBad
	case compare.Undecided:
		c.Tone = toneWarn
	}
	return c
}

// foundOn is a service or an edge that one side lacks.
type foundOn struct {
	compare.Subject
	side string
}

// oneSidedTable lists services and edges that only one side has.
func oneSidedTable(c *compare.Result) table {
	list := []foundOn{}
	for _, s := range c.Appeared {
		list = append(list, foundOn{s, "NEW only"})
	}
	for _, s := range c.Gone {
		list = append(list, foundOn{s, "BASE only: gone"})
	}
	return build("one-sided", "Services and edges that only BASE or only NEW has", list, []spec[foundOn]{
		{column{Head: "In"}, func(f *foundOn) cell { return word(f.side) }},
		{column{Head: "What", Kind: kindName}, func(f *foundOn) cell { return named(f.Type) }},
		{column{Head: "Name", Kind: kindName}, func(f *foundOn) cell { return named(f.Name) }},
	})
}

// sideRun is a run with its side.
type sideRun struct {
	compare.RunInfo
	side string
}

// runsOf lists all runs, BASE first.
func runsOf(c *compare.Result) []sideRun {
	list := []sideRun{}
	add := func(side string, runs []compare.RunInfo) {
		for _, r := range runs {
			list = append(list, sideRun{r, side})
		}
	}
	add("BASE", c.Base.Runs)
	add("NEW", c.New.Runs)
	if c.Noise != nil {
		add("noise", c.Noise.Runs)
	}
	return list
}

// runsTable says what was recorded on both sides, and what of it was used.
func runsTable(c *compare.Result) table {
	return build("runs", "Recordings of BASE and NEW", runsOf(c), []spec[sideRun]{
		{column{Head: "Side"}, func(r *sideRun) cell { return word(r.side) }},
		{column{Head: "Recording", Kind: kindName}, func(r *sideRun) cell { return named(runName(&r.RunInfo)) }},
		{column{Head: "Hosts", Kind: kindName, Rank: 5}, func(r *sideRun) cell { return named(strings.Join(r.Hosts, " ")) }},
		{column{Head: "Start (UTC)", Kind: kindNumber, Rank: 6}, func(r *sideRun) cell { return word(timeText(r.StartNs)) }},
		number("Duration", "", 0, func(r *sideRun) cell { return cell{Text: DurationText(r.DurationNs)} }),
		number("Requests", "that entered, in the windows used", 3, func(r *sideRun) cell { return counted(r.Requests) }),
		number("Rate", "", 0, func(r *sideRun) cell { return cell{Text: rateText(r.RatePerS)} }),
		number("Windows", "used", 0, func(r *sideRun) cell { return alarmed(int64(r.Windows), toneNone) }),
		odd("Partial", "windows left out: not recorded throughout", 4, func(r *sideRun) cell { return counted(int64(r.Partial)) }),
		odd("Warm-up", "windows left out: before the load was steady", 4, func(r *sideRun) cell { return counted(int64(r.WarmUp)) }),
		odd("Lossy", "windows left out: too much was lost", 2, func(r *sideRun) cell { return alarmed(int64(r.Lost), toneBad) }),
		number("Coverage", "of the worst table", 1, func(r *sideRun) cell { return worstCoverage(r.Coverage) }),
		{column{Head: "Damage", Kind: kindProse, Optional: true}, damageCell},
	})
}

// worstCoverage is the least coverage of a run's tables.
func worstCoverage(list []compare.Coverage) cell {
	least := 1.0
	for _, t := range list {
		least = min(least, t.Ratio)
	}
	return covered(least, len(list) > 0)
}

// damageCell says what of a run's files is damaged.
func damageCell(r *sideRun) cell {
	switch {
	case len(r.Problems) > 1:
		return cell{Text: visible(r.Problems[0]) + ", and " + strconv.Itoa(len(r.Problems)-1) + " more", Tone: toneBad}
	case len(r.Problems) == 1:
		return cell{Text: visible(r.Problems[0]), Tone: toneBad}
	case r.Damaged:
		return cell{Text: "ends before the recording did", Tone: toneBad}
	}
	return cell{Text: absent}
}

// hashedFile is a file of a side with its hash.
type hashedFile struct{ side, file, hash string }

// filesTable lists the files by hash, so that a comparison can be made again of
// the same ones.
func filesTable(c *compare.Result) table {
	list := []hashedFile{}
	for _, r := range runsOf(c) {
		for i, f := range r.Files {
			h := hashedFile{side: r.side, file: f}
			if i < len(r.SHA256) {
				h.hash = r.SHA256[i]
			}
			list = append(list, h)
		}
	}
	return build("files", "Files of BASE and NEW", list, []spec[hashedFile]{
		{column{Head: "Side"}, func(f *hashedFile) cell { return word(f.side) }},
		{column{Head: "File", Kind: kindName}, func(f *hashedFile) cell { return named(f.file) }},
		{column{Head: "SHA-256", Kind: kindProse}, func(f *hashedFile) cell { return named(f.hash) }},
	})
}
