package reports

import (
	"cmp"
	"strconv"

	"kmon/analyze"
)

// How assets/window.js gets what html_window.go collects.

// packWindows packs what the page knows of each window; "" when there is nothing.
func packWindows(a *analyze.Analysis) (string, error) {
	p := timelinePeriod(a)
	if p.end <= p.start || p.window <= 0 {
		return "", nil
	}
	w := newWindowPage(a, p)
	var b packer
	w.windowGrid.pack(&b)
	column64(&b, w.lost, func(_ int, n int64) int64 { return n })
	b.number(int64(len(w.tables)))
	for i := range w.tables {
		w.tables[i].pack(&b)
	}
	return b.pack()
}

func (g *windowGrid) pack(b *packer) {
	b.number(g.p.start / 1e9)
	b.number(g.p.start % 1e9)
	b.number(g.p.window)
	column64(b, g.ns, func(_ int, n int64) int64 { return n })
}

// pack writes a table for assets/window.js.
func (t *windowTable) pack(b *packer) {
	b.text(t.id)
	b.text(t.title)
	b.text(t.note)
	b.number(int64(len(t.names)))
	for _, n := range t.names {
		b.text(n)
	}
	b.number(int64(len(t.sums)))
	for _, s := range t.sums {
		b.text(s.head)
		b.text(s.hint)
		b.number(s.kind)
	}
	flags := int64(0)
	for i, set := range []bool{t.latency, t.ordered, len(t.own.ns) > 0} {
		if set {
			flags |= 1 << i
		}
	}
	b.number(flags)
	if len(t.own.ns) > 0 {
		t.own.pack(b)
	}
	b.number(int64(t.unkept))
	b.number(int64(len(t.rows)))
	for i := range t.rows {
		t.rows[i].pack(b)
	}
}

// pack writes a row: names, the distances of its windows, its sums, then the
// longest latency (0: none, else it and 1) and the counts by class of each.
func (r *windowRow) pack(b *packer) {
	for _, n := range r.names {
		b.text(n)
	}
	column64(b, r.windows, func(i int, w int64) int64 { return w - r.windows[max(0, i-1)] + first(i, r.windows) })
	for _, s := range r.sums {
		column64(b, s, func(_ int, n int64) int64 { return n })
	}
	column64(b, r.longest, func(_ int, ns int64) int64 {
		if ns == 0 {
			return 0
		}
		return ns + 1
	})
	column64(b, r.classes, func(_ int, c []analyze.ClassCount) int64 { return int64(len(c)) })
	for _, list := range r.classes {
		before := int32(0)
		for _, c := range list {
			b.number(int64(c.Class - before))
			b.number(c.Count)
			before = c.Class
		}
	}
}

// first is the first window itself, whose distance would be 0.
func first(i int, windows []int64) int64 {
	if i == 0 {
		return windows[0]
	}
	return 0
}

// mergedClasses adds two sorted lists up.
func mergedClasses(a, b []analyze.ClassCount) []analyze.ClassCount {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	out := make([]analyze.ClassCount, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := cmp.Compare(a[0].Class, b[0].Class); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, analyze.ClassCount{Class: a[0].Class, Count: a[0].Count + b[0].Count}), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// timeAttribute is a time for scripts: start and end in Unix ms, base 36, which
// is short.
func timeAttribute(from, to int64) string {
	return strconv.FormatInt(from/1e6, 36) + " " + strconv.FormatInt((to+1e6-1)/1e6, 36)
}
