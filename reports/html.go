package reports

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"kmon/analyze"
)

//go:embed templates/report.html.tmpl templates/breakdown.html.tmpl assets/report.css
var files embed.FS

// page is everything the HTML template shows. Slices are never nil.
type page struct {
	CSP          string
	Style        template.CSS
	Tone         tone
	State        string // of the recording, in words
	Title        string // of the window
	Summary      string
	Narrowed     string
	Warnings     []string
	MoreWarnings []string // folded
	Glance       glancePart
	Findings     findingsPart
	Before       []htmlTable // captures, problems, losses
	Topology     topologyView
	Services     []htmlTable
	Drill        drillPart
	Oddities     []definition
	Breakdown    breakdownView
	Edges        []htmlTable
	Charts       []chartView
	NoCharts     string // why charts are missing; "" when all are there
	NoTCP        string // why there are no services; "" where they were recorded
	CPU          sectionView
	Flame        flamePart
	Disks        sectionView
	Network      sectionView
	Calls        sectionView
	Details      []htmlTable
	Reading      []definition
	Version      string
	Command      string
	Data         []dataBlock // what scripts read
	Scripts      []template.JS
}

// sectionView is a nodeSection with its charts.
type sectionView struct {
	ID, Title string
	Remarks   []string
	Tables    []htmlTable
	Charts    []chartView
	NoCharts  string // what was left out
	Details   []htmlTable
}

// dataBlock is packed data in the page, base64, which needs no escape.
type dataBlock struct {
	ID     string
	Packed template.HTML
}

// pageLimit is the most bytes of a page that holds the detail of a profile.
var pageLimit = 5_000_000

// writeHTML writes one self-contained page. Its scripts only add to what is
// there: without them it reads as well. A page that would be larger than
// pageLimit is written without the detail of the profile, and says so.
func writeHTML(w io.Writer, a *analyze.Analysis, o Options) error {
	text, err := renderHTML(a, o)
	if err == nil && len(text) > pageLimit && a.Profile != nil && a.Profile.DetailNs > 0 {
		short, profile := *a, *a.Profile
		profile.Detail, profile.DetailNs, profile.OtherDetail = nil, 0, 0
		short.Profile = &profile
		text, err = renderHTML(&short, o)
	}
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("html report: %w", err)
	}
	return nil
}

// renderHTML gives the page.
func renderHTML(a *analyze.Analysis, o Options) ([]byte, error) {
	t, err := template.ParseFS(files, "templates/report.html.tmpl", "templates/breakdown.html.tmpl")
	if err != nil {
		return nil, fmt.Errorf("html report: template: %w", err)
	}
	p, err := newPage(a, o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("html report: %w", err)
	}
	return b.Bytes(), nil
}

// newPage builds what the template shows.
func newPage(a *analyze.Analysis, o Options) (*page, error) {
	style, err := files.ReadFile("assets/report.css")
	if err != nil {
		return nil, fmt.Errorf("html report: %w", err)
	}
	p := &page{
		Style: template.CSS(style),
		Tone:  alarm(a), State: recordingState(a),
		Title:  cut(visible(a.Verdict), nameHTML),
		Glance: newGlance(a), Summary: summary(a), Narrowed: cut(narrowed(a.Filter), proseHTML),
		Warnings: []string{}, MoreWarnings: []string{},
		Findings: newFindingsPart(a),
		Topology: drawTopology(a), Drill: newDrillPart(a),
		Oddities: oddities(a), Breakdown: newBreakdown(a), Reading: definitions(a),
		Version: visible(a.Version), Command: visible(o.Command),
	}
	for _, w := range a.Warnings {
		p.Warnings = append(p.Warnings, cut(visible(w), proseHTML))
	}
	if len(p.Warnings) > warningsOpen {
		p.Warnings, p.MoreWarnings = p.Warnings[:warningsOpen], p.Warnings[warningsOpen:]
	}
	p.Before = filledTables(capturesTable(a), problemsTable(a), lossesTable(a), leftOutTable(a), marksTable(a))
	p.Services = filledTables(servicesTable(a), partsTable(a), streamsTable(a))
	p.Edges = filledTables(edgesTable(a), connectionsTable(a))
	if len(a.Captures) > 0 && !recordsTCP(a) {
		p.NoTCP = "Not recorded: " + partTCP + "."
	}
	p.Details = filledTables(coverageTable(a), machinesTable(a), hooksTable(a), instancesTable(a), hashesTable(a))
	charts, live, more := charts(a)
	if p.Charts = charts; more > 0 {
		p.NoCharts = "And " + CountText(int64(more)) + " more" + plural(more, " service") + " with less traffic: their series are in the json report."
	}
	live = p.addSections(a, live)
	if p.Flame, err = newFlamePart(a); err != nil {
		return nil, err
	}
	series, err := packSeries(live, a.Marks)
	if err != nil {
		return nil, err
	}
	windows, err := packWindows(a)
	if err != nil {
		return nil, err
	}
	return p, p.addScripts(series, windows)
}

// addSections adds what the collectors beside tcp told, and gives the live
// charts with theirs.
func (p *page) addSections(a *analyze.Analysis, live []liveChart) []liveChart {
	views := map[string]*sectionView{"cpus": &p.CPU, "storage": &p.Disks, "faults": &p.Network, "calls": &p.Calls}
	for _, s := range nodeSections(a) {
		*views[s.ID] = sectionView{ID: s.ID, Title: s.Title, Remarks: s.Remarks, Tables: filledTables(s.Tables...),
			Charts: []chartView{}, Details: filledTables(s.Details...)}
	}
	lines := func(v *sectionView, charts []lineChart) {
		for i := range charts {
			v.Charts = append(v.Charts, charts[i].view(a.Marks, len(live)))
			live = append(live, charts[i].live())
		}
	}
	lines(&p.CPU, cpuCharts(a))
	disks, liveDisks := diskCharts(a, len(live))
	p.Disks.Charts, live = disks, append(live, liveDisks...)
	faults, more := faultCharts(a)
	lines(&p.Network, faults)
	if more > 0 {
		p.Network.NoCharts = "And " + CountText(int64(more)) + " more" + plural(more, " service") + " with fewer faults: their series are in the json report."
	}
	return live
}

// addScripts adds the data, the scripts that read it, and the policy that
// allows them.
func (p *page) addScripts(series, windows string) (err error) {
	p.Data = []dataBlock{}
	for _, d := range []dataBlock{
		{"data-topology", template.HTML(p.Topology.data)},
		{"data-windows", template.HTML(windows)}, {"data-series", template.HTML(series)}, {"data-profile", template.HTML(p.Flame.profile)}, {"data-heats", template.HTML(p.Flame.heats)},
	} {
		if d.Packed != "" {
			p.Data = append(p.Data, d)
		}
	}
	if series != "" || p.Flame.Live {
		chartStyle, err := scriptFiles.ReadFile("assets/vendor/uPlot.min.css")
		if err != nil {
			return fmt.Errorf("html report: %w", err)
		}
		p.Style = template.CSS(chartStyle) + "\n" + p.Style
	}
	p.Glance.Live = windows != ""
	p.Scripts, err = scripts(p.Flame.Live, series != "", windows != "" || p.Topology.Live)
	p.CSP = contentPolicy(p.Style, p.Scripts)
	return err
}

// recordingState words the tone of a report.
func recordingState(a *analyze.Analysis) string {
	switch alarm(a) {
	case toneBad:
		return "Recording incomplete"
	case toneWarn:
		return "Read with care"
	}
	return "Recording complete"
}

// Bounds of an HTML table.
const (
	rowsOpen     = 25  // the rest is folded
	warningsOpen = 12  // likewise
	nameHTML     = 120 // columns of a name; the whole is its tooltip
	proseHTML    = 600 // columns of prose
)

// htmlTable is a table with its classes, cut into open and folded rows.
type htmlTable struct {
	ID, Title string
	Note      string
	Columns   []htmlColumn
	Rows      []htmlRow
	More      []htmlRow
	MoreText  string
	// Narrow says that scripts narrow it to the picked range, WholeSums that they hide
	// rows only.
	Narrow, WholeSums bool
}

// htmlColumn heads a column.
type htmlColumn struct {
	Head, Hint, Class string
}

// htmlRow is a row whose first cell heads it.
type htmlRow struct {
	Head  htmlCell
	Cells []htmlCell
	Time  string // see timeAttribute; "": it is of the whole recording
}

// htmlCell is one value; Title is its whole text where it was cut.
type htmlCell struct {
	Text, Class, Title string
	Name               bool // may be long: breaks anywhere
}

// filledTables gives the tables that have rows.
func filledTables(tables ...table) []htmlTable {
	filled := []htmlTable{}
	for _, t := range tables {
		if len(t.Rows) > 0 {
			filled = append(filled, forHTML(t, rowsOpen))
		}
	}
	return filled
}

// forHTML prepares t with so many rows open.
func forHTML(t table, open int) htmlTable {
	h := htmlTable{ID: t.ID, Title: t.Title, Note: t.Note, WholeSums: t.WholeSums, Narrow: t.Times != nil || t.Windowed || slices.Contains(windowTables, t.ID), Columns: []htmlColumn{}, Rows: []htmlRow{}, More: []htmlRow{}}
	for _, c := range t.Columns {
		h.Columns = append(h.Columns, htmlColumn{c.Head, c.Hint, kindClass(c.Kind)})
	}
	for i, row := range t.Rows {
		r := htmlRow{Cells: []htmlCell{}}
		if t.Times != nil {
			r.Time = timeAttribute(t.Times[i].StartNs, t.Times[i].EndNs)
		}
		for j, c := range row {
			v := htmlCell{Text: cut(c.Text, nameHTML), Class: kindClass(t.Columns[j].Kind), Name: t.Columns[j].Kind == kindName}
			if k := t.Columns[j].Kind; k == kindProse || k == kindText {
				v.Text = cut(c.Text, proseHTML)
			}
			if v.Text != c.Text {
				v.Title = c.Text
			}
			if c.Tone != toneNone {
				v.Class += " " + string(c.Tone)
			}
			if j == 0 {
				r.Head = v
				continue
			}
			if v.Class == "num" {
				v.Class = "" // most cells of a page are
			}
			r.Cells = append(r.Cells, v)
		}
		if i < open {
			h.Rows = append(h.Rows, r)
			continue
		}
		h.More = append(h.More, r)
	}
	h.MoreText = CountText(int64(len(h.More))) + " more"
	return h
}

// kindClass is the class of a column's cells.
func kindClass(k kind) string {
	switch k {
	case kindNumber:
		return "num"
	case kindName:
		return "name"
	case kindProse, kindText:
		return "prose"
	}
	return "word"
}
