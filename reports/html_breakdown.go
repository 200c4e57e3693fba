package reports

import (
	"kmon/analyze"
)

// breakdownView is the section that tells where the time of requests went. Slices
// are never nil.
type breakdownView struct {
	None   string // why there is nothing; "" when there is, or nothing was served
	Title  string
	Bars   []breakdownBars
	Keys   []breakdownKey
	More   string // services that are only in the table
	Tables []htmlTable
}

// breakdownKey is a part that is drawn, with its place in the colours.
type breakdownKey struct{ Class, Text string }

// breakdownBars are the two bars of a service.
type breakdownBars struct {
	Name          string
	About         string
	Width, Height string
	Rects         []rect
	Texts         []label
}

const (
	breakdownServices = 12  // drawn
	breakdownWidth    = 960 // of a drawing
	breakdownLeft     = 88  // for the names of the bars
	breakdownRight    = 96  // for their lengths
	breakdownBar      = 22
	breakdownStep     = 28
	charWidth         = 6.6 // of a digit at 11 px, and a little more
)

func newBreakdown(a *analyze.Analysis) breakdownView {
	v := breakdownView{Title: breakdownTitle, None: noBreakdown(a), Bars: []breakdownBars{}, Keys: []breakdownKey{}, Tables: filledTables(breakdownTable(a))}
	list := brokenDown(a)
	drawn := map[string]bool{}
	for _, s := range list[:min(len(list), breakdownServices)] {
		v.Bars = append(v.Bars, drawBreakdown(&s, drawn))
	}
	for _, p := range breakdownParts {
		if drawn[p.name] {
			v.Keys = append(v.Keys, breakdownKey{"part-" + p.name, p.head})
		}
	}
	if more := len(list) - len(v.Bars); more > 0 {
		v.More = "And " + CountText(int64(more)) + " more" + plural(more, " service") + " in the table below."
	}
	return v
}

// drawBreakdown draws a service; its longer bar has the whole width. It notes the
// parts it drew.
func drawBreakdown(s *service, drawn map[string]bool) breakdownBars {
	rows := bands(s)
	v := breakdownBars{
		Name: cut(nameText(s.Name), nameHTML), Width: px(breakdownWidth), Height: px(float64(len(rows)) * breakdownStep),
		Rects: []rect{}, Texts: []label{},
	}
	v.About = "Parts of the requests of " + v.Name + " around p99 and around p50; the numbers are in the table below"
	longest := int64(1)
	for _, b := range rows {
		longest = max(longest, b.MeanNs)
	}
	scale := float64(breakdownWidth-breakdownLeft-breakdownRight) / float64(longest)
	for i := range rows {
		v.bar(&rows[i], float64(i)*breakdownStep, scale, drawn)
	}
	return v
}

// bar draws one range of latencies.
func (v *breakdownBars) bar(b *broken, y, scale float64, drawn map[string]bool) {
	text := func(x float64, anchor, class, s string) {
		v.Texts = append(v.Texts, label{X: px(x), Y: px(y + 15), Anchor: anchor, Class: class, Text: s})
	}
	text(breakdownLeft-8, "end", "bar-name", b.which)
	x := float64(breakdownLeft)
	for _, p := range breakdownParts {
		for _, part := range b.Parts {
			if part.Name != p.name {
				continue
			}
			name := p.head
			if part.Callee != "" {
				name = cut(nameText(part.Callee), nameHTML)
			}
			w := float64(part.Ns) * scale
			v.Rects = append(v.Rects, box(x, y+1, w, breakdownBar, "part part-"+p.name, name+" "+DurationText(part.Ns)+", "+percentText(part.Share)))
			drawn[p.name] = true
			if room := int(w/charWidth) - 1; room >= columns(name) || room >= 8 {
				text(x+5, "start", "part-name part-"+p.name, cut(name, room))
			}
			x += w
		}
	}
	text(x+6, "start", "bar-name", DurationText(b.MeanNs))
}
