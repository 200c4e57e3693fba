package reports

import "kmon/analyze"

// Bounds of the findings in a page.
const (
	findingsOpen = 12  // the rest is folded
	findingsMost = 100 // the rest has a line each
)

// findingsPart is the first section of the page. Slices are never nil.
type findingsPart struct {
	None     string // why there is no finding; "" when there is one
	Open     []htmlFinding
	Folded   []htmlFinding
	MoreText string // how many are folded
	Further  []htmlTable
	Judged   []htmlTable
}

// htmlFinding is a findingView, cut to what a page shows.
type htmlFinding struct {
	findingView
	Evidence []htmlTable
	Links    []htmlLinks
}

// htmlLinks are findings that belong to one. An Anchor is "" where the page does
// not hold the finding.
type htmlLinks struct {
	Term  string
	Links []htmlLink
}

type htmlLink struct{ Anchor, Title string }

func newFindingsPart(a *analyze.Analysis) findingsPart {
	p := findingsPart{None: silence(a), Open: []htmlFinding{}, Folded: []htmlFinding{},
		Further: filledTables(furtherTable(a, findingsMost)), Judged: filledTables(checksTable(a), insufficientTable(a))}
	views := findingViews(a)
	views = views[:min(len(views), findingsMost)]
	for i := range views {
		f := newHTMLFinding(&views[i], len(views))
		if i < findingsOpen {
			p.Open = append(p.Open, f)
		} else {
			p.Folded = append(p.Folded, f)
		}
	}
	p.MoreText = CountText(int64(len(p.Folded))) + plural(len(p.Folded), " more finding")
	return p
}

// newHTMLFinding cuts a finding. The page holds the first most of them.
func newHTMLFinding(v *findingView, most int) htmlFinding {
	f := htmlFinding{findingView: *v, Evidence: filledTables(v.Evidence), Links: []htmlLinks{}}
	f.Title, f.Facts = cut(f.Title, proseHTML), cut(f.Facts, proseHTML)
	f.More = copied(f.More)
	for i := range f.More {
		f.More[i].Meaning = cut(f.More[i].Meaning, proseHTML)
	}
	for _, group := range []struct {
		term  string
		links []findingLink
	}{{"Caused by", v.CausedBy}, {"Causes", v.Causes}} {
		if len(group.links) == 0 {
			continue
		}
		links := htmlLinks{Term: group.term}
		for _, l := range group.links {
			links.Links = append(links.Links, l.html(most))
		}
		f.Links = append(f.Links, links)
	}
	return f
}

// html gives the link within a page that holds the first most findings.
func (l findingLink) html(most int) htmlLink {
	h := htmlLink{Title: cut(l.Title, nameHTML)}
	if l.Number == "" {
		return h
	}
	h.Title = l.Number + ". " + h.Title
	if l.place <= most {
		h.Anchor = "finding-" + l.Number
	}
	return h
}
