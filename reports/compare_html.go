package reports

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"

	"kmon/analyze/compare"
)

//go:embed templates/report.html.tmpl templates/compare.html.tmpl assets/report.css assets/compare.css
var compareFiles embed.FS

// comparePage is everything the template of a comparison shows. Slices are never
// nil.
type comparePage struct {
	CSP         string
	Style       template.CSS
	Tone        tone
	State       string
	Title       string // of the window
	Verdict     string
	Load        string
	LoadTone    tone
	Facts       []string // sides, settings, noise, counts
	Notes       []string
	MoreNotes   []string // folded
	Thresholds  []htmlTable
	Judged      []htmlTable
	Strips      []stripView
	NoStrips    string // what was left out
	SampleUnit  string
	OneSided    []htmlTable
	Unjudged    []htmlTable
	Unchanged   []htmlTable // folded
	FlameTables []htmlTable
	Flames      []flameView
	NoFlames    string // what was left out, or why there are none
	Recorded    []htmlTable
	Files       []htmlTable // folded
	Reading     []definition
	Version     string
	Command     string
}

// writeComparisonHTML writes one self-contained page, which has no scripts.
func writeComparisonHTML(w io.Writer, c *compare.Result, o Options) error {
	t, err := template.ParseFS(compareFiles, "templates/report.html.tmpl", "templates/compare.html.tmpl")
	if err != nil {
		return fmt.Errorf("html comparison: template: %w", err)
	}
	p, err := newComparePage(c, o)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "compare.html.tmpl", p); err != nil {
		return fmt.Errorf("html comparison: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("html comparison: %w", err)
	}
	return nil
}

// newComparePage builds what the template shows.
func newComparePage(c *compare.Result, o Options) (*comparePage, error) {
	style := template.CSS("")
	for _, name := range []string{"report.css", "compare.css"} {
		text, err := compareFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("html comparison: %w", err)
		}
		style += template.CSS(text)
	}
	p := &comparePage{
		Style: style, CSP: contentPolicy(style, nil), Title: cut(comparisonVerdict(c), nameHTML), Verdict: cut(comparisonVerdict(c), proseHTML),
		Facts: []string{}, Notes: []string{}, MoreNotes: []string{},
		Thresholds: filledTables(thresholdsTable(c)), Judged: filledTables(judgedTables(c)...), SampleUnit: sampleUnit(c),
		OneSided: filledTables(oneSidedTable(c)), Unjudged: filledTables(unjudgedTable(c)), Unchanged: filledTables(unchangedTable(c)),
		FlameTables: filledTables(flameTables(c, true)...), Recorded: filledTables(runsTable(c)), Files: filledTables(filesTable(c)),
		Reading: comparisonDefinitions(c), Version: visible(c.Version), Command: visible(o.Command),
	}
	p.State, p.Tone = comparisonState(c)
	p.Load, p.LoadTone = loadText(c)
	p.Load = cut(p.Load, proseHTML)
	for _, s := range []string{sidesText(c), countsText(c), settingsText(c), noiseText(c)} {
		p.Facts = append(p.Facts, cut(s, proseHTML))
	}
	for _, n := range comparisonNotes(c) {
		p.Notes = append(p.Notes, cut(n, proseHTML))
	}
	if len(p.Notes) > warningsOpen {
		p.Notes, p.MoreNotes = p.Notes[:warningsOpen], p.Notes[warningsOpen:]
	}
	p.draw(c)
	return p, nil
}

// draw adds the drawings.
func (p *comparePage) draw(c *compare.Result) {
	var more int
	if p.Strips, more = strips(c); more > 0 {
		p.NoStrips = "And " + CountText(int64(more)) + " more: their samples are in the json report."
	}
	switch p.Flames, more = diffGraphsOf(c); {
	case c.Flames == nil:
		p.NoFlames = "Not recorded: a side has no stacks (collector cpu)."
	case len(c.Flames) == 0:
		p.NoFlames = "No service has stacks on both sides."
	case more > 0:
		p.NoFlames = "And " + CountText(int64(more)) + plural(more, " more graph") + " that differ less: see the json report."
	}
}
