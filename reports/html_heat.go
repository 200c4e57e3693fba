package reports

import (
	"math"
	"strconv"

	"kmon/analyze"
)

// Sizes of a heat map that needs no script, in pixels.
const (
	heatLeft    = 62.0
	heatRight   = 1190.0
	heatTop     = 4.0
	heatHeight  = 150.0
	heatColumns = 240     // more are merged
	heatRows    = 50      // likewise
	heatLevels  = 8       // shades
	heatMaps    = 12      // most maps
	heatCells   = 300_000 // most cells for scripts
)

// heatView is a heat map. Levels holds a path for each shade that occurs.
type heatView struct {
	ID, Title, Caption string
	Width, Height      string
	Levels             []stroke
	Axis               []label
}

// heatDrawing is the state while drawing one map.
type heatDrawing struct {
	heatView
	m             *analyze.HeatMap
	columns, rows int // drawn
	across, down  int // columns and rows of the map in one of the drawing
	counts        []int64
	most          int64
}

// heats draws the maps of the analysis, in its order.
func heats(a *analyze.Analysis) (views []heatView, more int) {
	views = []heatView{}
	for i := range a.HeatMaps {
		m := &a.HeatMaps[i]
		if m.Kind == "on-cpu" && m.Subject != "" || len(m.Cells) == 0 || len(m.RowBounds) < 2 || m.ColumnNs <= 0 {
			continue
		}
		if len(views) == heatMaps {
			more++
			continue
		}
		view := drawHeat(m, len(views), a.EndNs)
		if dark := a.EndNs - a.StartNs - a.RecordedNs(); dark > 0 {
			view.Caption += " Of " + DurationText(dark) + " nothing was recorded: there it is empty, not idle."
		}
		views = append(views, view)
	}
	return views, more
}

// drawHeat draws one map: time to the right, up to the end of the recording, the
// rows upwards.
func drawHeat(m *analyze.HeatMap, index int, endNs int64) heatView {
	d := heatDrawing{m: m}
	d.ID = "heat-" + strconv.Itoa(index+1)
	d.merge((endNs - m.StartNs - 1) / m.ColumnNs)
	d.Width, d.Height = px(flameWidth), px(heatTop+heatHeight+18)
	d.paint()
	d.axis()
	subject := "all services"
	if m.Subject != "" {
		subject = cut(visible(m.Subject), nameHTML)
	}
	cellText := roundText(m.ColumnNs * int64(d.across))
	switch m.Kind {
	case "on-cpu":
		d.Title = "On-CPU samples by second, " + subject
		d.Caption = "Each column is " + cellText + ", each row a part of the second; darkest is " + CountText(d.most) + plural(int(d.most), " sample") + "."
	default:
		d.Title = "Latency over time, " + subject
		d.Caption = "Each column is " + cellText + ", each row a class of latency; darkest is " + CountText(d.most) + plural(int(d.most), " request") + "."
	}
	return d.heatView
}

// merge adds up cells until the map fits; end is the column that the recording
// ends in.
func (d *heatDrawing) merge(end int64) {
	last := int(min(max(end, 0), 1<<20))
	for _, c := range d.m.Cells {
		last = max(last, int(c.Column))
	}
	rows := len(d.m.RowBounds) - 1
	d.across, d.down = last/heatColumns+1, (rows-1)/heatRows+1
	d.columns, d.rows = last/d.across+1, (rows-1)/d.down+1
	d.counts = make([]int64, d.columns*d.rows)
	for _, c := range d.m.Cells {
		if c.Column < 0 || c.Row < 0 || int(c.Row) >= rows {
			continue
		}
		at := int(c.Column)/d.across*d.rows + int(c.Row)/d.down
		d.counts[at] += c.Count
		d.most = max(d.most, d.counts[at])
	}
}

// paint draws a path for each shade; neighbours of a column join.
func (d *heatDrawing) paint() {
	var paths [heatLevels + 1]string
	w, h := (heatRight-heatLeft)/float64(d.columns), heatHeight/float64(d.rows)
	for c := range d.columns {
		for r := 0; r < d.rows; {
			level, tall := d.level(c, r), 1
			for r+tall < d.rows && d.level(c, r+tall) == level {
				tall++
			}
			if level > 0 {
				paths[level] += "M" + px(heatLeft+float64(c)*w) + "," + px(heatTop+heatHeight-float64(r)*h) +
					"h" + px(w) + "v" + px(-float64(tall)*h) + "h" + px(-w) + "z"
			}
			r += tall
		}
	}
	d.Levels = []stroke{}
	for level, path := range paths {
		if path != "" {
			d.Levels = append(d.Levels, stroke{D: path, Class: "heat h" + strconv.Itoa(level)})
		}
	}
}

// level is the shade of a cell: 0 for none, 1 to heatLevels by its count; of
// latencies by the square root, so that rare cells are seen beside frequent ones.
func (d *heatDrawing) level(column, row int) int {
	n := d.counts[column*d.rows+row]
	if n <= 0 {
		return 0
	}
	share := float64(n) / float64(d.most)
	if d.m.Kind != "on-cpu" {
		share = math.Sqrt(share)
	}
	return 1 + int(share*(heatLevels-1)+0.5)
}

// axis names times below and row bounds on the left.
func (d *heatDrawing) axis() {
	end := d.m.StartNs + int64(d.columns*d.across)*d.m.ColumnNs
	for _, t := range timeTicks(d.m.StartNs, end, 10) {
		x := heatLeft + (heatRight-heatLeft)*float64(t-d.m.StartNs)/float64(end-d.m.StartNs)
		anchor := "middle"
		if x > heatRight-25 {
			anchor = "end"
		}
		d.Axis = append(d.Axis, label{px(x), px(heatTop + heatHeight + 14), "tick", anchor, clockText(t)})
	}
	rows := len(d.m.RowBounds) - 1
	step := max(1, (rows+3)/4)
	for r := 0; r <= rows; r += step {
		y := heatTop + heatHeight - heatHeight*float64(r)/float64(d.rows*d.down)
		d.Axis = append(d.Axis, label{px(heatLeft - 6), px(min(y+3.5, heatTop+heatHeight)), "tick", "end", roundText(d.m.RowBounds[r])})
	}
}

// packHeats packs the latency maps for assets/heat.js; those of samples are
// drawn from the profile.
func packHeats(a *analyze.Analysis) (string, error) {
	var b packer
	var chosen []*analyze.HeatMap
	cells := 0
	for i := range a.HeatMaps {
		m := &a.HeatMaps[i]
		usable := m.Kind == "latency" && len(m.Cells) > 0 && len(m.RowBounds) > 1 && m.ColumnNs > 0
		if usable && cells+len(m.Cells) <= heatCells {
			cells += len(m.Cells)
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return "", nil
	}
	b.number(int64(len(chosen)))
	for _, m := range chosen {
		b.text(cut(visible(m.Subject), nameHTML))
		b.number(m.StartNs / 1e9)
		b.number(m.StartNs % 1e9)
		b.number(m.ColumnNs)
		column64(&b, m.RowBounds, func(_ int, ns int64) int64 { return ns })
		column64(&b, m.Cells, func(i int, c analyze.HeatCell) int64 {
			if i == 0 {
				return int64(c.Column)
			}
			return int64(c.Column - m.Cells[i-1].Column)
		})
		column64(&b, m.Cells, func(_ int, c analyze.HeatCell) int64 { return int64(c.Row) })
		column64(&b, m.Cells, func(_ int, c analyze.HeatCell) int64 { return c.Count })
	}
	return b.pack()
}
