package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

type capture = analyze.Capture

// capturesTable says what was recorded, what was missed and what it cost.
func capturesTable(a *analyze.Analysis) table {
	t := build("captures", "Captures", a.Captures, []spec[capture]{
		{column{Head: "File", Kind: kindName}, func(c *capture) cell {
			f := named(c.File)
			f.Text += moreParts(c)
			return f
		}},
		{column{Head: "Host", Kind: kindName}, func(c *capture) cell { return named(c.Host) }},
		{column{Head: "Note", Kind: kindProse, Optional: true, Hint: "what was done to the capture, and what it was told to leave out"},
			func(c *capture) cell { return named(captureNote(c)) }},
		{column{Head: "Kernel", Kind: kindName, Rank: 4}, func(c *capture) cell { return named(c.Kernel) }},
		{column{Head: "Start (UTC)", Rank: 5}, func(c *capture) cell { return word(timeText(c.StartNs)) }},
		number("Duration", "", 0, func(c *capture) cell { return cell{Text: DurationText(c.DurationNs)} }),
		{column{Head: "Stopped by", Kind: kindName, Hint: "why the recording ended", Rank: 3}, stopCell},
		number("Seen", "events recorded, all tables", 2, func(c *capture) cell { seen, _, _ := coverageOf(c); return counted(seen) }),
		number("Lost", "events known to be lost, all tables", 0, func(c *capture) cell { _, lost, _ := coverageOf(c); return alarmed(lost, toneBad) }),
		number("Coverage", "of the worst table", 0, func(c *capture) cell { _, _, worst := coverageOf(c); return worst }),
		number("Recorder CPU", "of one core", 6, func(c *capture) cell { return cell{Text: recorderCPU(&c.Recorder)} }),
		number("Recorder memory", "largest resident size", 6, func(c *capture) cell { return cell{Text: orAbsent(c.Recorder.MaxRSSBytes, BytesText)} }),
		number("BPF run time", "of its programs in the kernel", 6, func(c *capture) cell { return cell{Text: orAbsent(c.Recorder.BPFRunNs, DurationText)} }),
	})
	t.Note = capturesNote(a)
	return t
}

// capturesNote says which numbers on captures are of the time that was picked.
func capturesNote(a *analyze.Analysis) string {
	if a.Filter.Since == "" && a.Filter.Until == "" {
		return ""
	}
	return "What was seen and lost, and its coverage, is of the time that was picked; length and cost are of the whole capture."
}

// captureNote says what was done to a capture after it was recorded, and what it
// was told to leave out; "": nothing.
func captureNote(c *capture) string {
	var notes []string
	if c.Redacted {
		notes = append(notes, "redacted: names are pseudonyms")
	}
	if c.CutFrom != nil {
		notes = append(notes, "cut out of "+DurationText(c.CutFrom.EndNs-c.CutFrom.StartNs)+" from "+timeText(c.CutFrom.StartNs)+" UTC")
	}
	if c.NoCommandLines {
		notes = append(notes, "command lines not recorded")
	}
	return strings.Join(notes, "; ")
}

// moreParts says how many files a recording has beside the first.
func moreParts(c *capture) string {
	if n := len(c.Parts); n > 1 {
		return " and " + CountText(int64(n-1)) + plural(n-1, " more part")
	}
	return ""
}

// stopCell is why a recording ended; a cut file does not know.
func stopCell(c *capture) cell {
	if c.StopReason == "" {
		return cell{Text: "cut short", Tone: toneBad}
	}
	if !c.EndsInOrder() {
		return cell{Text: "cut short, repaired", Tone: toneBad}
	}
	return word(c.StopReason)
}

// coverageOf sums the coverage of a capture's tables and gives the worst.
func coverageOf(c *capture) (seen, lost int64, worst cell) {
	least, any := 1.0, false
	for _, t := range c.Coverage {
		seen += t.Seen
		lost += t.Lost
		if t.Seen+t.Lost > 0 {
			least, any = min(least, t.Ratio), true
		}
	}
	return seen, lost, covered(least, any)
}

// recorderCPU is the recorder's share of a core; absent when the capture ends
// before it was stored.
func recorderCPU(r *analyze.Recorder) string {
	if r.CPUNs == 0 && r.CPUPercent == 0 {
		return absent
	}
	return percentText(r.CPUPercent / 100)
}

// orAbsent is text(n), or absent for 0.
func orAbsent(n int64, text func(int64) string) string {
	if n == 0 {
		return absent
	}
	return text(n)
}

// machinesTable is the second half of the captures: machine, clock, cost.
func machinesTable(a *analyze.Analysis) table {
	return build("machines", "Machines, clocks and the recorder's own cost", a.Captures, []spec[capture]{
		{column{Head: "File", Kind: kindName}, func(c *capture) cell { return named(c.File) }},
		{column{Head: "System", Kind: kindName}, func(c *capture) cell { return named(c.OS) }},
		{column{Head: "Arch", Kind: kindName}, func(c *capture) cell { return named(c.Arch) }},
		number("CPUs", "", 0, func(c *capture) cell { return cell{Text: orAbsent(int64(c.CPUs), CountText)} }),
		{column{Head: "Recorded by", Kind: kindName}, func(c *capture) cell { return named(c.KmonVersion) }},
		{column{Head: "Clock", Hint: "how the kernel's time became UTC", Kind: kindName}, func(c *capture) cell { return named(c.Clock.Source) }},
		number("Clock drift", "largest change of the offset while recording", 0, func(c *capture) cell { return cell{Text: DurationText(c.Clock.DriftNs)} }),
		odd("Clock shift", "added to its times, for requests that other hosts recorded, too, tell that its clock was off", 0, func(c *capture) cell { return cell{Text: orAbsent(c.Clock.ShiftNs, DurationText)} }),
		{column{Head: "Against other clocks", Hint: "how far it is ahead, after the shift", Kind: kindProse, Optional: true}, func(c *capture) cell { return named(clockPeersText(c.Clock.Peers)) }},
		number("CPU time", "of the recorder, user and system", 0, func(c *capture) cell { return cell{Text: orAbsent(c.Recorder.CPUNs, DurationText)} }),
	})
}

// clockPeersText tells how far a clock is ahead of others; "": it was not compared.
func clockPeersText(peers []analyze.ClockPeer) string {
	var list []string
	for _, p := range peers {
		text := DurationText(p.AheadNs) + " to " + p.Host
		if p.ErrorNs != nil {
			text += " ± " + DurationText(*p.ErrorNs)
		}
		list = append(list, text+" ("+p.Source+")")
	}
	return strings.Join(list, ", ")
}

// hook is a collector with its capture.
type hook struct {
	analyze.Collector
	file string
}

// hooksTable lists the collectors with the hook variants they used.
func hooksTable(a *analyze.Analysis) table {
	hooks := []hook{}
	for i := range a.Captures {
		for _, c := range a.Captures[i].Collectors {
			hooks = append(hooks, hook{c, a.Captures[i].File})
		}
	}
	return build("collectors", "Collectors and their hooks", hooks, []spec[hook]{
		{column{Head: "File", Kind: kindName}, func(h *hook) cell { return named(h.file) }},
		{column{Head: "Collector", Kind: kindName}, func(h *hook) cell { return named(h.Name) }},
		{column{Head: "Hooks", Kind: kindProse, Hint: "indicator=variant"}, func(h *hook) cell { return named(h.Variant) }},
		{column{Head: "Not recorded", Kind: kindProse, Optional: true}, func(h *hook) cell {
			c := named(h.Missing)
			if h.Missing != "" {
				c.Tone = toneWarn
			}
			return c
		}},
	})
}

// tableCoverage is the coverage of one table of one capture.
type tableCoverage struct {
	analyze.Coverage
	file string
}

// coverageTable lists what was seen and lost per capture and table.
func coverageTable(a *analyze.Analysis) table {
	all := []tableCoverage{}
	for i := range a.Captures {
		for _, c := range a.Captures[i].Coverage {
			all = append(all, tableCoverage{c, a.Captures[i].File})
		}
	}
	return build("coverage", "Coverage per table", all, []spec[tableCoverage]{
		{column{Head: "File", Kind: kindName}, func(c *tableCoverage) cell { return named(c.file) }},
		{column{Head: "Table", Kind: kindName}, func(c *tableCoverage) cell { return named(c.Table) }},
		number("Seen", "", 0, func(c *tableCoverage) cell { return counted(c.Seen) }),
		number("Lost", "", 0, func(c *tableCoverage) cell { return alarmed(c.Lost, toneBad) }),
		number("Coverage", hintCoverage, 0, func(c *tableCoverage) cell { return covered(c.Ratio, c.Seen+c.Lost > 0) }),
	})
}

// lossesTable lists the periods with missing events, in time order.
func lossesTable(a *analyze.Analysis) table {
	losses := copied(a.Losses)
	slices.SortStableFunc(losses, func(a, b analyze.Loss) int {
		return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs))
	})
	return withTimes(build("losses", "Losses", losses, []spec[analyze.Loss]{
		{column{Head: "From (UTC)"}, func(l *analyze.Loss) cell { return word(timeText(l.StartNs)) }},
		number("For", "the events were lost within this time", 0, func(l *analyze.Loss) cell { return cell{Text: DurationText(l.EndNs - l.StartNs)} }),
		{column{Head: "Collector", Kind: kindName, Rank: 1}, func(l *analyze.Loss) cell { return named(l.Collector) }},
		{column{Head: "Table", Kind: kindName}, func(l *analyze.Loss) cell { return named(l.Table) }},
		{column{Head: "Cause", Kind: kindName}, func(l *analyze.Loss) cell { return named(l.Cause) }},
		number("Lost", "", 0, func(l *analyze.Loss) cell { return alarmed(l.Count, toneBad) }),
		{column{Head: "File", Kind: kindName, Rank: 2}, func(l *analyze.Loss) cell { return named(l.Capture) }},
	}), losses, func(l *analyze.Loss) (int64, int64) { return l.StartNs, l.EndNs })
}

// leftOutTable lists what was left out on purpose, in time order.
func leftOutTable(a *analyze.Analysis) table {
	all := copied(a.LeftOut)
	slices.SortStableFunc(all, func(a, b analyze.LeftOut) int {
		return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs))
	})
	t := withTimes(build("not-recorded", "Not recorded because of --max-overhead", all, []spec[analyze.LeftOut]{
		{column{Head: "What", Kind: kindName}, func(g *analyze.LeftOut) cell { return named(g.What) }},
		{column{Head: "From (UTC)"}, func(g *analyze.LeftOut) cell { return word(timeText(g.StartNs)) }},
		{column{Head: "To (UTC)"}, func(g *analyze.LeftOut) cell { return word(timeText(g.EndNs)) }},
		number("For", "", 0, func(g *analyze.LeftOut) cell { return cell{Text: DurationText(g.EndNs - g.StartNs)} }),
		number("Left out", "how much there was of it; "+absent+": nobody counted", 0, func(g *analyze.LeftOut) cell {
			if g.Count == nil {
				return cell{Text: absent}
			}
			return counted(*g.Count)
		}),
		{column{Head: "Collector", Kind: kindName, Rank: 2}, func(g *analyze.LeftOut) cell { return named(g.Collector) }},
		{column{Head: "File", Kind: kindName, Rank: 2}, func(g *analyze.LeftOut) cell { return named(g.Capture) }},
	}), all, func(g *analyze.LeftOut) (int64, int64) { return g.StartNs, g.EndNs })
	t.Note = "Above its budget the recorder leaves out parts, and takes them back later. What they would have shown in these times is not known: it is not nothing."
	return t
}

// uncountedNs is for how long, over all captures, nobody counted what was left
// out of a table.
func uncountedNs(a *analyze.Analysis, table string) (ns int64) {
	for i := range a.Captures {
		for _, c := range a.Captures[i].Coverage {
			if c.Table == table {
				ns += c.UncountedNs
			}
		}
	}
	return ns
}

// leftOutRemarks say when something of a collector was not recorded.
func leftOutRemarks(a *analyze.Analysis, collector string) []string {
	var remarks []string
	for _, g := range a.LeftOut {
		if g.Collector != collector {
			continue
		}
		if len(remarks) == leftOutRemarksMost {
			return append(remarks, "More was not recorded because of --max-overhead: see the table of what was not recorded.")
		}
		remarks = append(remarks, "Not recorded from "+timeText(g.StartNs)+" to "+timeText(g.EndNs)+" UTC because of --max-overhead: "+cut(visible(g.What), nameHTML)+".")
	}
	return remarks
}

// leftOutRemarksMost is how many of these a section has.
const leftOutRemarksMost = 6

// problem is damage found while reading a capture.
type problem struct {
	file, text string
}

// problemsTable lists damage found while reading.
func problemsTable(a *analyze.Analysis) table {
	all := []problem{}
	for i := range a.Captures {
		for _, p := range a.Captures[i].Problems {
			all = append(all, problem{a.Captures[i].File, p})
		}
	}
	return build("problems", "Problems while reading", all, []spec[problem]{
		{column{Head: "File", Kind: kindName}, func(p *problem) cell { return named(p.file) }},
		{column{Head: "Problem", Kind: kindProse}, func(p *problem) cell { return named(p.text) }},
	})
}

// marksTable lists the moments that were marked.
func marksTable(a *analyze.Analysis) table {
	return withTimes(build("marks", "Marks", a.Marks, []spec[analyze.Mark]{
		{column{Head: "Time (UTC)"}, func(m *analyze.Mark) cell { return word(timeText(m.TsNs)) }},
		{column{Head: "Kind", Kind: kindName}, func(m *analyze.Mark) cell { return named(m.Kind) }},
		{column{Head: "Mark", Kind: kindProse}, func(m *analyze.Mark) cell { return named(m.Text) }},
		{column{Head: "File", Kind: kindName, Rank: 1}, func(m *analyze.Mark) cell { return named(m.Capture) }},
	}), a.Marks, func(m *analyze.Mark) (int64, int64) { return m.TsNs, m.TsNs })
}

// hashed is a file of a capture.
type hashed struct{ file, hash string }

// hashesTable lets a reader check that a report belongs to its files.
func hashesTable(a *analyze.Analysis) table {
	all := []hashed{}
	for i := range a.Captures {
		c := &a.Captures[i]
		for _, p := range c.Parts {
			all = append(all, hashed{p.File, p.SHA256})
		}
		if len(c.Parts) == 0 {
			all = append(all, hashed{c.File, c.SHA256})
		}
	}
	return build("hashes", "SHA-256 of the captures", all, []spec[hashed]{
		{column{Head: "File", Kind: kindName}, func(h *hashed) cell { return named(h.file) }},
		{column{Head: "SHA-256", Kind: kindProse}, func(h *hashed) cell { return named(h.hash) }},
	})
}

// summary is the line below the verdict: what was analyzed.
func summary(a *analyze.Analysis) string {
	s := strconv.Itoa(len(a.Captures)) + plural(len(a.Captures), " capture")
	if a.EndNs > a.StartNs {
		s = timeText(a.StartNs) + " UTC for " + DurationText(a.EndNs-a.StartNs) + " · " + s
	}
	if a.WindowNs > 0 {
		s += " · windows of " + roundText(a.WindowNs)
	}
	return s
}

// narrowed says which part was analyzed; "" when it was all. The parts are
// text from the command line.
func narrowed(f analyze.Filter) string {
	s := ""
	if f.Since != "" {
		s += " --since " + f.Since
	}
	if f.Until != "" {
		s += " --until " + f.Until
	}
	for _, name := range f.Services {
		s += " --service " + name
	}
	if s != "" {
		s = s[1:]
	}
	return visible(s)
}

// plural is noun, with an s unless n is 1.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// alarm is the loudest tone the recording itself deserves.
func alarm(a *analyze.Analysis) tone {
	for i := range a.Captures {
		if !a.Captures[i].EndsInOrder() || len(a.Captures[i].Problems) > 0 {
			return toneBad
		}
	}
	if len(a.Losses) > 0 || len(a.Warnings) > 0 {
		return toneWarn
	}
	return toneNone
}
